"""Synthetic smears: cells, layout, optics and noise of the fields that `sim:` shows and that bundles are checked on."""

__all__ = ["cells", "laboratory", "noise", "optics", "recipes", "smear"]
