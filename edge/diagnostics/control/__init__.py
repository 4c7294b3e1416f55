"""The Levey-Jennings charts of controls: figure, page and JSON."""

__all__ = ["page", "state"]
