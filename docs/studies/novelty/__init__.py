"""Studies of the novelty gate: evidence, alternatives, other microscopes."""
