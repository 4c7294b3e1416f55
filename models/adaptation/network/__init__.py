"""The network of a site: where it starts from, what it sees of a field, its frozen features, and its file."""

__all__ = ["backbone", "features", "field_views", "last_blocks", "network_file", "tiling"]
