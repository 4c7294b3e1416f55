"""The output of a run: a line a stored verdict, lost where nobody reads it, while the record has every one."""

import json as json_format
import logging
import sys
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from edge.bundle.provenance import Provenance
from edge.inference.decision import LOW_CONFIDENCE
from edge.inference.licence import NOT_LICENSED, Finding, slide_finding
from edge.record.entries import Stored
from edge.record.formatting import heading, stored_line, stored_record
from edge.system.line_writer import LineWriter
from edge.system.wording import counted

_log = logging.getLogger(__name__)

PATIENCE_S = 5.0  # for a reader that takes nothing, at the end of a run
SETTLE_S = 2.0  # for the last lines to be written or lost before the record of the run is closed


@contextmanager
def printing(stop: threading.Event) -> Iterator[LineWriter]:
    """Standard output within the block, without a wait for its reader; what was lost is said after it.

    Args:
        stop: set when the reader leaves, as that ends any command. Once set, a reader that takes nothing is not waited
            for.
    """
    output = LineWriter(sys.stdout, on_gone=stop.set)
    try:
        yield output
    finally:
        output.close(PATIENCE_S, hurry=stop)
        if output.lost:
            _log.warning(
                f"{counted(output.lost, 'line')} could not be printed ({output.why}); the record has every verdict"
            )


def lines_lost(output: LineWriter, stop: threading.Event) -> str:
    """What could not be printed by now, one sentence; "" for nothing. Lines that are being written are waited for.

    Args:
        stop: once set, they are not waited for as long.
    """
    output.settle(SETTLE_S, hurry=stop)
    return f"{counted(output.lost, 'line')} could not be printed ({output.why})" if output.lost else ""


class VerdictOutput:
    """Says what is stored, and keeps count of the answers. Nothing here waits or raises: what it says is recorded."""

    def __init__(
        self,
        output: LineWriter,
        *,
        as_json: bool,
        labels: Sequence[str],
        provenance: Provenance,
        simulated: bool,
        camera_setup: str = "",
    ) -> None:
        self._output, self._json, self._labels = output, as_json, labels
        self._provenance, self._simulated = provenance, simulated
        self._camera_setup = camera_setup
        self._answers: Counter[str] = Counter()

    def under(self, provenance: Provenance) -> None:
        """What verdicts are said with from now on."""
        self._provenance = provenance

    def begin(self) -> None:
        """The lines above the verdicts."""
        if not self._json:
            self._output.put(heading(self._provenance).splitlines())

    def announce(self, stored: Sequence[Stored]) -> None:
        """A line a verdict."""
        self._answers.update(each.entry.label or f"refused: {each.entry.reason}" for each in stored)
        for each in stored:
            try:
                self._output.put([self._line(each)])
            except Exception as error:  # whatever is wrong with a line, the verdict is stored, and recording goes on
                self._output.give_up(1, str(error))

    def summary(self) -> str:
        """How often each answer was given."""
        return ", ".join(f"{name} {number}" for name, number in sorted(self._answers.items())) or "no verdict"

    def finding(self, benign: Sequence[str], fewest: int) -> Finding | None:
        """What the run's fields make of the slide, by the rule that acceptance goes by; None without a field, and where
        a slide would be benign by fewer than `fewest`, which accepted slides had: nobody counted what that misses."""
        fields = self._answers.total()
        unsure = sum(self._answers[f"refused: {reason}"] for reason in (LOW_CONFIDENCE, NOT_LICENSED))
        refused = sum(number for name, number in self._answers.items() if name.startswith("refused: "))
        as_benign = sum(self._answers[label] for label in benign)
        if not fields:
            return None
        found = slide_finding(fields, fields - refused + unsure, as_benign, fields - refused - as_benign)
        return None if found == "benign" and fields < fewest else found

    def _line(self, stored: Stored) -> str:
        if not self._json:
            return stored_line(stored, simulated=self._simulated, provenance=self._provenance)
        record = stored_record(
            stored,
            self._labels,
            simulated=self._simulated,
            provenance=self._provenance,
            camera_setup=self._camera_setup,
        )
        return json_format.dumps(record, allow_nan=False)
