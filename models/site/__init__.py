"""A laboratory's labelled slides: reading them, and the audit that says what its fields can show."""

__all__ = []
