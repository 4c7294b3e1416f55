"""The pipeline of a run: capture, gates, classification and recording as concurrent stages."""

__all__ = ["counters", "housekeeping", "pipeline", "recorder", "sd_notify", "selection", "tuning", "watchdog"]
