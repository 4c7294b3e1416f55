"""Pareto comparison: accuracy, size and speed of networks in several widths, sizes and number formats."""

__all__ = ["backbone_weights", "figure", "formats", "grid", "job", "page", "record"]
