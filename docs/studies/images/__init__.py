"""Studies of image files: what damage the reader finds, and what that costs."""
