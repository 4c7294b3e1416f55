"""The live page: the one link to the instrument, what every browser is told, and the commands that go back."""

__all__ = ["bench", "commands", "link", "sockets", "watcher"]
