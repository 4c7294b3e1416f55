"""Inference: from an RGB frame to a class, or the reason why there is none."""
