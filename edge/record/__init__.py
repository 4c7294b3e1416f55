"""The record: verdicts, events and images in a hash chain; its audit, export and retention."""

__all__ = [
    "audit",
    "chain",
    "entries",
    "entry_parts",
    "formatting",
    "image_sampling",
    "images",
    "location",
    "reader",
    "retention",
    "schema",
    "slide_entries",
    "slide_queries",
    "store",
]
