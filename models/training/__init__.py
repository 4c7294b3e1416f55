"""Training: recipes, augmentation, the training loop and cross-validation."""

__all__ = [
    "augmentation",
    "batches",
    "checkpoint",
    "cross_validation",
    "cross_validation_record",
    "loop",
    "recipe",
    "stain",
    "training_record",
    "training_statistics",
]
