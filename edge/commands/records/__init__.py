"""Commands about the record: export, heat, prune, verify; and the picture of a field's tiles."""

__all__ = ["tile_picture"]
