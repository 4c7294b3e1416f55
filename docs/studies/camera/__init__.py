"""Studies of a camera that is set up: pictures of what its set-up changes."""

__all__: list[str] = []
