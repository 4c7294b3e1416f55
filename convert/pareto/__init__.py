"""Pareto comparison: accuracy, size and speed of networks in several widths, sizes and number formats."""
