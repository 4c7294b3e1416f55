"""Studies of the quality gates: limits, evidence and figures."""
