"""Studies of the page: what a login costs."""

__all__: list[str] = []
