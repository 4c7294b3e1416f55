"""Studies: programs that produced a figure or settled a decision once; run from a checkout, never installed."""
