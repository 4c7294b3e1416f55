"""TFLite files as the converter writes them: inspection, metadata, matching of float and int8 graphs."""

__all__ = ["flexbuffer", "float_file", "inspection", "layer_names", "matching", "metadata", "schema"]
