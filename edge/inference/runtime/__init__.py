"""Runtimes: TFLite interpreters, the arithmetic they calculate by, and the Edge TPU delegate."""

__all__ = ["arithmetic", "edgetpu_delegate", "interpreters", "runtimes"]
