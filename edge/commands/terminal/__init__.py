"""What every command does at a terminal: its log, what `--version` says, help, and completion of its words."""

__all__ = ["completion", "fire_text", "log", "version"]
