"""Evaluation: metrics, robustness to degraded images, counterfactual images and class activation maps."""
