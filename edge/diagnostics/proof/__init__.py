"""Proof of a board: everything that only real hardware shows, measured once and written to one file."""

__all__ = ["measure", "record"]
