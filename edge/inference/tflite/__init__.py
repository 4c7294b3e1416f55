"""TFLite files, read safely before an interpreter sees them."""

__all__ = ["flatbuffer", "model_file"]
