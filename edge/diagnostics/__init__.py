"""Diagnostics of a machine: the probes of `edge doctor` and the measurements of `edge bench`."""

__all__ = ["board", "camera_setup", "control", "doctor", "page", "profile_machine", "selftest", "storage"]
