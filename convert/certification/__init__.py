"""Certification: from a float model to a bundle with certificate and report."""

__all__ = ["gates", "golden", "job", "pair", "renewal", "settings"]
