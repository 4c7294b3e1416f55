"""Commands of `edge`: options as a checked request, and the request's execution."""

__all__ = ["command_line"]
