"""Exports of the record: a slide's entries as tables and JSON, with their images, in a folder of its own."""

__all__ = ["export", "folder"]
