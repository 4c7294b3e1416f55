"""Commands about the bundles of a device: update, rollback, slots."""

__all__ = []
