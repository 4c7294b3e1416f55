"""Evidence of an audit: what a field shows without a network, and how well groups of slides are told apart by it."""

__all__ = ["giveaways", "measures", "same_images", "slide_identity", "told_apart"]
