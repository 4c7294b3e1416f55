"""TensorFlow's converter in a process of its own: the network it is given, its limits, and what made it crash."""

__all__ = ["crash_cause", "dead_tensors", "process", "saved_network", "worker"]
