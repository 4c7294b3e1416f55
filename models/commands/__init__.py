"""Commands of `models`: requests that are checked when made and carried out by `execute`."""

__all__ = ["gates"]
