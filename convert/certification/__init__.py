"""Certification: from a float model to a bundle with certificate and report."""
