"""Serving: which bundle runs, its interpreter, its self-tests, and when another one takes over."""
