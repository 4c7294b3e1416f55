"""Archives: a bundle as one zip file, and what of a zip file is trusted."""

__all__ = ["archive", "zip_directory"]
