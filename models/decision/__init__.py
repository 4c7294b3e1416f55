"""When a verdict is given: temperature, thresholds and the limits of the gates, fitted to validation images."""
