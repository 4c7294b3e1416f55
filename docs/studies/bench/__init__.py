"""Studies of the bench: when a view stands still, and what the bench costs."""

__all__ = []
