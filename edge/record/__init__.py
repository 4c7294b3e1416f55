"""The record: verdicts, events and images in a hash chain; its audit, export and retention."""

__all__ = [
    "audit",
    "entries",
    "export",
    "export_folder",
    "formatting",
    "image_sampling",
    "location",
    "retention",
    "schema",
    "store",
]
