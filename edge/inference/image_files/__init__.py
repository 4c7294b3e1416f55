"""Image files: headers of the four formats that are read, and the checks that find damage decoders pass over."""

__all__ = ["formats", "header", "jpeg", "tiff"]
