"""The `edge doctor` command."""

from dataclasses import dataclass
from pathlib import Path

from edge.commands.command_line import Outcome
from edge.diagnostics.doctor import _named, diagnose, record, table
from edge.errors import DONE, MACHINE_LACKS
from edge.system.machine import Machine
from edge.system.option_values import switch


@dataclass(frozen=True)
class DoctorRequest:
    """A machine to look at."""

    machine: Machine
    json: bool

    def execute(self) -> Outcome:
        """Look at everything.

        Returns:
            Code 4 when a finding is "missing", else 0. Record: `findings` (name, state, found, cure), `missing`
            and `warnings` (names).
        """
        findings = diagnose(self.machine)
        return Outcome(MACHINE_LACKS if _named(findings, "missing") else DONE, record(findings), table(findings))


def doctor_request(*, config: str, store: str, json: object) -> DoctorRequest:
    """The request that the words of a command line make; SettingsError for a profile that cannot be read."""
    from edge.record.location import default_store
    from edge.settings.profile import load

    settings = load(Path(config) if config else None)
    machine = Machine(
        store=Path(store) if store else settings.record.folder or default_store(),
        camera=settings.camera_uri,
        bundle=settings.model.bundle,
        keys=settings.trust.keys,
        edgetpu=settings.model.edgetpu or "",
        fallback=settings.model.fallback,
    )
    return DoctorRequest(machine, switch(json, "--json"))
