"""Training: recipes, augmentation, the training loop and cross-validation."""

__all__ = ["augmentation", "cross_validation", "loop", "training_statistics"]
