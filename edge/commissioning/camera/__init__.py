"""Setting a camera up: light, flat field and magnification measured, and whether they still hold."""

__all__ = [
    "changes",
    "folder",
    "history",
    "light",
    "light_watch",
    "looks",
    "magnification",
    "measure",
    "red_cells",
    "setups_of_files",
    "trend",
]
