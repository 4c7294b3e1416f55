"""Acceptance: what untouched slides show of a bundle at its site, and what it may say there."""

__all__ = ["job", "limits", "page", "published"]
