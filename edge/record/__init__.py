"""The record: verdicts, events and images in a hash chain; its audit, export and retention."""

__all__ = [
    "audit",
    "chain",
    "control_entry",
    "entries",
    "export",
    "export_folder",
    "formatting",
    "image_sampling",
    "location",
    "reader",
    "reference_entry",
    "retention",
    "schema",
    "store",
]
