"""Commands about a folder of images: audit, fetch, split."""

__all__ = []
