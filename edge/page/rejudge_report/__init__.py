"""The report of a rejudging: what stored fields say under another bundle, as a page."""

__all__ = ["page"]
