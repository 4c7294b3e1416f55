"""Reference fields: labelled fields of a laboratory's own slides, collected at its microscope and exported."""

__all__ = ["collector", "export", "quality", "record", "taker", "tally"]
