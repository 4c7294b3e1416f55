"""The `edge doctor` command."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edge.commands.command_line import Outcome
from edge.errors import DONE, MACHINE_LACKS, UsageError
from edge.system.machine import Machine
from edge.system.option_values import optional_path, whole_number

if TYPE_CHECKING:
    from edge.settings.profile import Settings

_BENCH_FRAMES = 200


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


@dataclass(frozen=True)
class ProofRequest:
    """A board to measure, and where its file goes. `cuts` is the file of power cuts that were counted before.

    >>> doctor(proof="board.json", load_seconds="60").load_s
    60
    """

    machine: Machine
    settings: "Settings"
    out: Path
    camera_s: int
    load_s: int
    allow_unsigned: bool
    cuts: Path | None
    json: bool

    def execute(self) -> Outcome:
        """Measure everything, and write the file whole.

        Returns:
            Code 0; 4 when `edge doctor` misses something needed. Record: the proof, as in the file.

        Raises:
            UsageError: the file of power cuts is none. OSError: the file cannot be written.
        """
        from msgspec import to_builtins
        from msgspec.json import encode, format

        from edge.diagnostics.proof.measure import measure
        from edge.diagnostics.proof.record import read_power_cuts
        from edge.system.files import require_file, write_whole

        require_file(self.out, "--proof")
        proof = measure(
            self.machine,
            self.settings,
            camera_s=self.camera_s,
            load_s=self.load_s,
            frames=_BENCH_FRAMES,
            allow_unsigned=self.allow_unsigned,
            power_cuts=None if self.cuts is None else read_power_cuts(self.cuts),
        )
        write_whole(self.out, format(encode(proof), indent=1) + b"\n")
        lines = [f"{self.out}: {proof.board.model or 'no Raspberry Pi'}, {len(proof.cameras)} cameras"]
        lines += [f"not measured: {line}" for line in proof.not_measured]
        missing = any(finding.state == "missing" for finding in proof.doctor)
        return Outcome(MACHINE_LACKS if missing else DONE, to_builtins(proof), "\n".join(lines))


def doctor(
    config: str = "",
    store: str = "",
    proof: str = "",
    seconds: str = "20",
    load_seconds: str = "300",
    power_cuts: str = "",
    allow_unsigned: bool = False,
    json: bool = False,
) -> DoctorRequest | ProofRequest:
    """Look at this machine: what the instrument needs, whether it is there, and the cure where it is not.

    Exit code 4 when something needed is missing.

    Args:
        config: profile; /etc/leukoscope/edge.toml where it exists.
        store: folder of the record.
        proof: measure this board as well (cameras, speed, heat, Edge TPU), and write all of it to this file;
            firmware_scripts/proof.sh does it with the service stopped.
        seconds: for each camera's frames, with --proof.
        load_seconds: of inferences without a pause, with --proof.
        power_cuts: file of the cuts that firmware_scripts/proof.sh counted, with --proof.
        allow_unsigned: measure with a bundle that no key trusted here signed, with --proof.
        json: print one JSON object.
    """
    from edge.diagnostics.profile_machine import machine_of
    from edge.settings.profile import load

    settings = load(optional_path(config))
    machine = machine_of(settings, Path(store) if store else None)
    if not proof:
        if power_cuts or allow_unsigned:
            raise UsageError("--power-cuts and --allow-unsigned belong to --proof FILE")
        return DoctorRequest(machine, json)
    return ProofRequest(
        machine=machine,
        settings=settings.with_options(store=store),
        out=Path(proof),
        camera_s=whole_number(seconds, "--seconds", 1, 3600),
        load_s=whole_number(load_seconds, "--load-seconds", 1, 86_400),
        allow_unsigned=allow_unsigned,
        cuts=optional_path(power_cuts),
        json=json,
    )
