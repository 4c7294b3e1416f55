"""Diagnostics of a machine: the probes of `edge doctor` and the measurements of `edge bench`."""

__all__ = ["board", "doctor", "storage"]
