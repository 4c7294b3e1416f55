"""Studies of the novelty gate: refusals, alternatives, other microscopes."""
