"""Studies of the quality gates: limits, refusals and figures."""
