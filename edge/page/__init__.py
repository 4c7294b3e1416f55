"""HTML pages: the Jinja environment, the base page with its content policy, one stylesheet, and macros."""

from edge.page.templates import render_page
from edge.page.values import Picture, Row, Table

__all__ = ["Picture", "Row", "Table", "render_page"]
