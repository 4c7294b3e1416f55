"""Studies of the page: what logins, viewers and a large record cost, and what page and instrument bear."""

__all__: list[str] = []
