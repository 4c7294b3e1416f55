"""Statistics: confidence intervals and calibration error, with checks of their inputs."""
