"""Certification: from a float model to a bundle with certificate and report."""

__all__ = ["golden", "job", "pair", "renew_golden", "settings"]
