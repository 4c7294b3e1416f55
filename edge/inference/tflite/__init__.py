"""TFLite files, read safely before an interpreter sees them."""

__all__ = ["child_process", "flatbuffer", "model_file"]
