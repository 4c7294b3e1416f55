"""Commands of `edge`: the words of a command line as a checked request, and the requests' execution."""

__all__ = ["command_line"]
