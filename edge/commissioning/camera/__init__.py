"""Setting a camera up: light, flat field and magnification measured, and whether they still hold."""

__all__ = ["changes", "folder", "light", "magnification", "measure", "red_cells"]
