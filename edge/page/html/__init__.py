"""HTML pages: the Jinja environment, the base page with its content policy, one stylesheet, and macros."""

__all__ = ["rendering", "values"]
