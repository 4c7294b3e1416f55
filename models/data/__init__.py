"""Image sets: reading, checking, splitting, and the facts of the published set."""

__all__ = [
    "audit",
    "class_folders",
    "dataset",
    "fetch",
    "field_groups",
    "folds",
    "parts",
    "published",
    "scale_bar",
    "shortcut_probe",
    "split",
    "white_cell_segmentation",
]
