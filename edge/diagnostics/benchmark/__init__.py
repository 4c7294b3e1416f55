"""The benchmark of `edge bench`: timing, the pipeline's rate, record and figure."""

__all__ = ["bench", "figure", "record", "timing"]
