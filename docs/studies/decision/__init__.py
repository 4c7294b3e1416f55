"""Study of the decision: thresholds chosen by cross-fitting, and what they do on fields they never saw."""
