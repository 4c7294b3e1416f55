"""The two networks, and loading of trained ones."""

__all__ = ["architectures", "custom_code", "float32", "loading", "model_pair", "prediction"]
