"""The `edge doctor` command."""

from dataclasses import dataclass
from pathlib import Path

from edge.commands.command_line import Outcome
from edge.errors import DONE, MACHINE_LACKS
from edge.system.machine import Machine
from edge.system.option_values import optional_path


@dataclass(frozen=True)
class DoctorRequest:
    """A machine to look at.

    >>> DoctorRequest(Machine(store=Path("/srv/record")), json=True).machine.store
    PosixPath('/srv/record')
    """

    machine: Machine
    json: bool

    def execute(self) -> Outcome:
        """Look at everything.

        Returns:
            Code 4 when a finding is "missing", else 0. Record: `findings` (name, state, found, cure), `missing`
            and `warnings` (names).
        """
        from msgspec import to_builtins

        from edge.diagnostics.doctor import diagnose, report, table

        findings = diagnose(self.machine)
        found = report(findings)
        return Outcome(MACHINE_LACKS if found.missing else DONE, to_builtins(found), table(findings))


def doctor(config: str = "", store: str = "", json: bool = False) -> DoctorRequest:
    """Look at this machine: what the instrument needs, whether it is there, and the cure where it is not.

    Exit code 4 when something needed is missing.

    Args:
        config: profile; /etc/leukoscope/edge.toml where it exists.
        store: folder of the record.
        json: print one JSON object.
    """
    from edge.settings.profile import load

    settings = load(optional_path(config))
    machine = Machine(
        store=Path(store) if store else settings.store,
        camera=settings.camera_uri,
        bundle=settings.model.bundle,
        keys=settings.trust.keys,
        edgetpu=settings.model.edgetpu or "",
        fallback=settings.model.fallback,
    )
    return DoctorRequest(machine, json)
