"""Rejudging: stored fields under another bundle, what of their answers changes, and whether that is allowed."""

__all__ = ["comparison", "job", "limits", "stored_fields"]
