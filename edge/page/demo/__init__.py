"""The demonstration of the bench: an instrument on a drawn slide in a child process, and the page on loopback."""

__all__ = ["demo"]
