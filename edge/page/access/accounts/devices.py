"""Known devices: browsers that logged a user in before, whom a flood of wrong passwords elsewhere does not hold up."""

import time
from collections.abc import Callable

from edge.page.access.accounts.database import Database, hashed, new_secret

MOST_DEVICES = 20  # of a user
VALID_S = 180 * 86_400.0


class Devices:
    """The known devices in a database, by a cookie that outlives the session and lets nobody in by itself."""

    def __init__(self, db: Database, now: Callable[[], float] = time.time) -> None:
        self._db, self._now = db, now

    def knows(self, cookie: str, user: int) -> bool:
        """Whether the browser with this cookie logged this user in before."""
        sql = "SELECT used FROM devices WHERE hash = ? AND user = ?"
        return any(self._now() - used < VALID_S for (used,) in self._db.rows(sql, [hashed(cookie), user]))

    def remember(self, user: int) -> str:
        """The value of a new cookie for the browser that has just logged a user in."""
        cookie, now = new_secret(), self._now()
        with self._db.change() as db:
            db.execute(
                "DELETE FROM devices WHERE user = ? AND hash NOT IN"
                " (SELECT hash FROM devices WHERE user = ? ORDER BY used DESC, hash LIMIT ?)",
                [user, user, MOST_DEVICES - 1],
            )
            db.execute("INSERT INTO devices VALUES (?, ?, ?)", [hashed(cookie), user, now])
        return cookie
