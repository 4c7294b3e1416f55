"""Studies of image files: what damages them, and how fast a folder of them is judged."""
