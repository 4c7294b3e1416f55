"""The `edge prune` command."""

import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edge.commands.command_line import Outcome
from edge.errors import DONE, StoreBusy, UsageError
from edge.system.option_values import optional_path
from edge.system.streams import one_line

if TYPE_CHECKING:
    from edge.record.retention import Retention


@dataclass(frozen=True)
class PruneRequest:
    """Apply limits once to the record in `store`; `by_profile`: the profile's, which a run applies itself as well.

    >>> prune("/srv/record", days="365").retention.days
    365.0
    """

    store: Path
    retention: "Retention"
    json: bool
    by_profile: bool = False

    def execute(self) -> Outcome:
        """Code 0 and what was removed. A run that goes on applies the profile's limits itself: nothing is left to do.

        Raises:
            UsageError: there is no record in that folder. StoreBusy: a run goes on there, under other limits.
        """
        from edge.record.location import require_record
        from edge.record.retention import apply
        from edge.record.store import Store
        from edge.system.clock import Clock

        if self.by_profile and not self.retention.limited:
            return self._nothing("the profile sets no limit under [retention]: nothing was removed")
        if self.by_profile and not self.store.is_dir():
            return self._nothing(f"{self.store}: no record yet: nothing was removed")
        require_record(self.store)
        try:
            with Store.open(self.store) as store:
                report = apply(store, self.retention, Clock().now())
        except StoreBusy as error:
            if not self.by_profile:
                raise
            held = str(error).partition(";")[0]
            return self._nothing(f"{held}, and applies its profile's limits itself: nothing was removed here")
        return Outcome(DONE, record=asdict(report), text=str(report))

    def _nothing(self, why: str) -> Outcome:
        from edge.record.retention import PruneReport

        return Outcome(DONE, record=asdict(PruneReport(held_back=why)), text=one_line(why))


def prune(
    store: str = "",
    days: str = "",
    gigabytes: str = "",
    also_unexported: bool = False,
    config: str = "",
    json: bool = False,
) -> PruneRequest:
    """Make room in a record: remove the oldest entries and their images, and note in the record that it was done.

    Without DAYS and GIGABYTES the limits are the profile's; a run that goes on applies those itself, and nothing is
    left to do (exit code 0). With them, a record that a run writes to is refused (exit code 4).

    Args:
        store: folder of the record.
        days: keep what is younger.
        gigabytes: keep so much of 10^9 bytes.
        also_unexported: remove also what was never exported.
        config: profile; /etc/leukoscope/edge.toml where it exists. Options here come before it.
        json: print one JSON object.
    """
    from edge.bundle.trusted import DEFAULT_PROFILE
    from edge.record.retention import Retention
    from edge.settings.profile import load

    by_profile = not days and not gigabytes
    if by_profile and not config and not DEFAULT_PROFILE.exists():
        raise UsageError("edge prune needs --days or --gigabytes, or a profile that says how much is to be kept")
    if by_profile and also_unexported:
        raise UsageError(
            "--also-unexported goes with --days or --gigabytes; for the profile's limits it says so itself"
        )
    settings = load(optional_path(config)).with_options(store=store)
    retention = settings.retention
    if not by_profile:
        retention = Retention(_positive(days, "--days"), _positive(gigabytes, "--gigabytes"), not also_unexported)
    return PruneRequest(settings.store, retention, json, by_profile)


def _positive(text: str, option: str) -> float | None:
    if not text:
        return None
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not (math.isfinite(number) and number > 0):
        raise UsageError(f"{option} must be a number > 0; got {text!r}")
    return number
