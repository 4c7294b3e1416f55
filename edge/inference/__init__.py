"""Inference: from an RGB frame to a class, or the reason why there is none."""

__all__ = [
    "answer",
    "arithmetic",
    "benign",
    "classifier",
    "contract",
    "decision",
    "domain",
    "edgetpu_delegate",
    "images",
    "interpreters",
    "runtimes",
    "scores",
]
