"""The two networks, and loading of trained ones."""

__all__ = ["architectures", "loading", "model_pair", "prediction"]
