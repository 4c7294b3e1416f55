"""When a verdict is given: temperature, thresholds and the limits of the gates, fitted to validation images."""

__all__ = [
    "abstention",
    "abstention_record",
    "cross_fit",
    "decision_record",
    "degraded_decision",
    "device_decision",
    "fit",
    "fit_gates",
    "fit_novelty",
    "gates_fit",
    "network_gates",
    "novelty_fields",
    "prototypes",
    "temperature",
]
