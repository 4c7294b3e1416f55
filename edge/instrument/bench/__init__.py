"""The bench: slides opened, paused and closed by commands while the instrument runs, and fields judged on demand."""

__all__ = ["desk", "seen", "selector", "stillness"]
