"""Training: recipes, augmentation, the training loop and cross-validation."""

__all__ = ["augmentation", "batches", "checkpoint", "cross_validation", "loop", "recipe", "training_statistics"]
