"""Records: what the page reads of the record, in a few threads with a connection each, and never writes."""

__all__ = ["answers", "cursors", "fields", "missed", "order", "pictures", "readers", "slides", "tallies"]
