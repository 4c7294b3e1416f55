"""Self-tests of a run, at its start and once a day, and the event that a failure leaves."""

import logging
from collections.abc import Callable
from pathlib import Path
from time import monotonic

from edge.errors import GoldenMismatchError, StoreError
from edge.record.entries import Event, event_body
from edge.record.store import Store
from edge.serving.selftest import SelfTest, SelfTester
from edge.serving.serve import Served
from edge.system.clock import Clock

_log = logging.getLogger(__name__)

PASSED, FAILED, SLOW = "selftest_passed", "selftest_failed", "selftest_slow"


class DailySelfTest:
    """Tests what serves, between two frames, on the interpreter that serves.

    Called by the thread that owns the interpreter (`Pipeline`'s classify stage); costs a look at the clock when no test
    is due.

    Args:
        on_event: takes kind and sentence; the record keeps both.
        every_s: seconds from one test to the next, > 0.
        now: seconds, monotonic.
    """

    def __init__(
        self,
        tester: SelfTester,
        served: Served,
        on_event: Callable[[str, str], None],
        *,
        every_s: float,
        now: Callable[[], float] = monotonic,
    ) -> None:
        self._tester, self._served, self._on_event = tester, served, on_event
        self._every_s, self._now = every_s, now
        self._due = now() + every_s
        self._last_passed = ""

    def at_start(self) -> None:
        """The first one, by the replay that the bundle was served with; nobody uses the interpreter yet.

        Raises:
            GoldenMismatchError: it failed.
        """
        self._judge(self._tester.examine(self._served.bundle, self._served.classifier.interpreter, self._served.replay))

    def __call__(self) -> None:
        """Test if it is time to.

        Raises:
            GoldenMismatchError: it failed; the event says since when verdicts are in doubt.
        """
        if self._now() < self._due:
            return
        self._due = self._now() + self._every_s
        self._judge(self._tester.examine(self._served.bundle, self._served.classifier.interpreter))

    def _judge(self, found: SelfTest) -> None:
        if not found.passed:
            doubt = f"; verdicts since the self-test of {self._last_passed} are in doubt" if self._last_passed else ""
            self._on_event(FAILED, found.detail + doubt)
            raise GoldenMismatchError(f"the self-test failed: {found.detail}{doubt}")
        self._last_passed = Clock().now().utc[:19] + "Z"
        self._on_event(PASSED, found.detail)
        for warning in found.warnings:
            self._on_event(SLOW, warning)


def record_failure(folder: Path, detail: str) -> None:
    """Leave an event in a record that no run could be begun in; a warning where it cannot be opened."""
    try:
        with Store.open(folder) as store, store.transaction() as transaction:
            transaction.append(event_body(None, None, Event(Clock().now(), FAILED, detail)))
    except (StoreError, OSError) as error:
        _log.warning(f"the failed self-test is not in the record: {error}")
