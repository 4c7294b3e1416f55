"""The page: a process of its own that serves the bench in a browser, and the HTML that every report is made of."""

__all__ = ["asking", "problems", "serving"]
