"""The record: verdicts, events and images in a hash chain; its audit, export and retention."""

__all__ = [
    "audit",
    "chain",
    "entries",
    "entry_parts",
    "export",
    "export_folder",
    "formatting",
    "image_sampling",
    "location",
    "reader",
    "retention",
    "schema",
    "store",
]
