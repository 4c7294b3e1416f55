"""Commands that commission a site: the camera set up, labelled fields collected, control slides judged."""

__all__: list[str] = []

__all__ = []
