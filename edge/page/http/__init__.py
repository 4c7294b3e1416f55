"""HTTP: what every route of the page shares: what the process is started with, its answers, and the size of bodies."""

__all__ = ["answers", "bodies", "config"]
