"""When a verdict is given: temperature, thresholds and the limits of the gates, fitted to validation images."""

__all__ = [
    "abstention",
    "degraded_decision",
    "device_decision",
    "fit",
    "fit_gates",
    "fit_novelty",
    "novelty_fields",
    "prototypes",
]
