"""Studies of what slides show: the audit on drawn sites with known truth."""
