"""Slides: where fields lie on a slide, and which show the same piece of it."""

__all__ = ["registration"]
