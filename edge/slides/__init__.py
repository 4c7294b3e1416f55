"""Slides: how one is opened, its fields counted once, its finding made, and what an expert corrects."""

__all__ = ["audit", "finding", "interval", "names", "rules", "seen", "settings", "suspicion", "tally"]
