"""Diagnosis: where int8 departs from float, layer by layer, and the likely cause."""

__all__ = ["before_conversion", "figure", "job", "page", "record", "weights"]
