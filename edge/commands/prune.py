"""The `edge prune` command."""

import math
from dataclasses import asdict, dataclass
from pathlib import Path

from edge.commands.command_line import Outcome
from edge.errors import DONE, StoreBusy, UsageError
from edge.record.location import default_store, require_record
from edge.record.retention import PruneReport, Retention, apply
from edge.record.store import Store
from edge.system.clock import Clock
from edge.system.option_values import switch


@dataclass(frozen=True)
class RetentionRequest:
    """Apply limits once to the record in `store`; `by_profile`: the profile's, which a run applies itself as well."""

    store: Path
    retention: Retention
    json: bool
    by_profile: bool = False

    def execute(self) -> Outcome:
        """Code 0 and what was removed. A run that goes on applies the profile's limits itself: nothing is left to do.

        Raises:
            UsageError: there is no record in that folder. StoreBusy: a run goes on there, under other limits.
        """
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
        return Outcome(DONE, record=asdict(PruneReport(held_back=why)), text=why)


def retention_request(
    *, store: str, days: str, gigabytes: str, also_unexported: object, config: str, json: object
) -> RetentionRequest:
    """The request that the words of a command line make: their limits, else the profile's.

    Raises:
        UsageError: neither words nor a profile. SettingsError: a profile that cannot be read.
    """
    from edge.bundle.trusted import DEFAULT_PROFILE
    from edge.settings.profile import load  # which needs `Retention`

    by_profile = not days and not gigabytes
    unexported = switch(also_unexported, "--also-unexported")
    if by_profile and not config and not DEFAULT_PROFILE.exists():
        raise UsageError("edge prune needs --days or --gigabytes, or a profile that says how much is to be kept")
    if by_profile and unexported:
        raise UsageError(
            "--also-unexported goes with --days or --gigabytes; for the profile's limits it says so itself"
        )
    settings = load(Path(config) if config else None)
    retention = settings.retention
    if not by_profile:
        retention = Retention(_positive(days, "--days"), _positive(gigabytes, "--gigabytes"), not unexported)
    folder = Path(store) if store else settings.record.folder or default_store()
    return RetentionRequest(folder, retention, switch(json, "--json"), by_profile)


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
