"""The two networks, and loading of trained ones."""
