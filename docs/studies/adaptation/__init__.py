"""Studies of networks that are adapted to a site."""

__all__ = []
