"""Statistics: confidence intervals and calibration error, with checks of their inputs."""

__all__ = ["calibration_error", "formatting", "intervals", "share", "validation"]
