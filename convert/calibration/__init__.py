"""Calibration: the images that set the ranges of a quantized model, and the images that judge it."""

__all__ = ["calibration_set", "evaluation_data", "given_set", "lint", "selection"]
