"""Reports: model cards, pages and figures made from records."""

__all__ = [
    "abstention_figure",
    "audit_page",
    "card",
    "counterfactual_figure",
    "decision_figure",
    "evaluation_page",
    "explanation_figures",
    "figure_style",
    "figures",
    "model_records",
    "requirements",
    "robustness_figure",
]
