"""The device on the page: its state in words with the cure, its control charts, and where light and focus are going."""

__all__ = ["address", "router"]
