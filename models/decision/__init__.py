"""When a verdict is given: temperature, thresholds and the limits of the gates, fitted to validation images."""

__all__ = [
    "abstention",
    "abstention_record",
    "cross_fit",
    "decision_record",
    "degraded_decision",
    "device_decision",
    "fit",
    "gates_fit",
    "limits",
    "network_gates",
    "prototypes",
    "temperature",
]
