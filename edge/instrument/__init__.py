"""The instrument: what owns camera, model and record while frames are judged, and the socket that it is asked over."""

__all__ = ["hooks", "session"]
