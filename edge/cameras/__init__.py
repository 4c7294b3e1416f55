"""Cameras, chosen by URI: `picamera2:0`, `uvc:/dev/video0`, `replay:PATH`, `sim:`."""

__all__ = ["backends", "base", "supervised"]
