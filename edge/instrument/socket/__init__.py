"""The Unix socket of the instrument: its messages, the server inside `edge run`, previews, and clients."""

__all__ = ["client", "commands", "messages", "protocol", "server", "subscription"]
