"""Training: recipes, augmentation, the training loop and cross-validation."""
