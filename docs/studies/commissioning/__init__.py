"""Studies of what a site collects."""
