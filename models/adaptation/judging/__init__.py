"""Heads chosen and judged in slide-disjoint folds: what they name rightly, and against what they are held."""

__all__ = [
    "baselines",
    "counting",
    "fine_tuning",
    "learning_curve",
    "linear_head",
    "selection",
    "site_decision",
    "site_gates",
]
