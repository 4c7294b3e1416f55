"""Inference: from an RGB frame to a class, or the reason why there is none."""

__all__ = [
    "answer",
    "benign",
    "classifier",
    "contract",
    "decision",
    "domain",
    "images",
    "licence",
    "scores",
    "shrinking",
    "tiles",
]
