"""Studies of fields on slides."""
