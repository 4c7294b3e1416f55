"""Evaluation: metrics, robustness to degraded images, counterfactual images and class activation maps."""

__all__ = [
    "class_activation",
    "corruptions",
    "counterfactuals",
    "evaluation_set",
    "explanations",
    "interventions",
    "metrics",
    "optical",
    "robustness",
    "scene",
]
