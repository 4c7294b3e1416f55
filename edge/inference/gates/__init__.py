"""Gates: measures of focus, motion, exposure, content and novelty that refuse a frame before the network is asked."""

__all__ = ["appearance", "base", "gates_file", "measures", "novelty", "quality"]
