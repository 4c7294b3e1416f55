"""What every command does at a terminal: its log, what `--version` says, and completion of its words."""

__all__ = ["completion", "log", "version"]
