"""Media: what a path is stored on, how that is taken out, and what the errors of either mean."""

__all__ = ["ejection", "mounts", "os_errors"]
