"""Studies of conversion: benchmarks and choices of calibration, golden images and recovery."""
