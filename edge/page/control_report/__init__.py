"""The report of controls: Levey-Jennings charts as a figure, a page and JSON."""

__all__ = ["page"]
