"""Commands about the record: export, prune, verify."""

__all__ = []
