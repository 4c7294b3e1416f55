"""Commands of `edge`: the words of a command line as a checked request, and the requests' execution."""

__all__ = ["bench", "classify", "command_line", "doctor", "export", "prune", "run", "selftest", "update", "verify"]
