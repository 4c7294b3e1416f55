"""The `edge slots` command."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edge.commands.command_line import Outcome
from edge.errors import ANSWER_IS_NO, DONE
from edge.system.option_values import optional_path
from edge.system.streams import one_line

if TYPE_CHECKING:
    from edge.serving.update.status import SlotsStatus, SlotStatus


@dataclass(frozen=True)
class SlotsRequest:
    """Show the slots. `keys` None is the machine's default folder of trusted keys.

    >>> slots("/srv/slots", trusted="/srv/keys").slots
    PosixPath('/srv/slots')
    """

    slots: Path
    keys: Path | None
    allow_unsigned: bool
    json: bool

    def execute(self) -> Outcome:
        """Code 0, or 1 when the current slot does not verify."""
        from msgspec import to_builtins

        from edge.bundle.trusted import TrustedKeys
        from edge.serving.update.slots import Slots
        from edge.serving.update.status import status

        found = status(Slots(self.slots), TrustedKeys.load(self.keys), allow_unsigned=self.allow_unsigned)
        code = ANSWER_IS_NO if found.populated and not found.sound else DONE
        return Outcome(code, to_builtins(found), _text(found))


def slots(
    slots: str = "", trusted: str = "", config: str = "", allow_unsigned: bool = False, json: bool = False
) -> SlotsRequest:
    """Show both slots: which bundle serves, which is spare, what is on trial, and what happened last.

    Exit code 1 when the bundle that serves does not verify.

    Args:
        slots: folder of the slots; /var/lib/leukoscope/bundles when left out.
        trusted: folder of trusted keys; the profile's, or the machine's own, when left out.
        config: profile; /etc/leukoscope/edge.toml where it exists.
        allow_unsigned: take a bundle that no key trusted here signed for sound.
        json: print one JSON object.
    """
    from edge.serving.update.slots import slots_folder
    from edge.settings.profile import load

    settings = load(optional_path(config)).with_options(trusted=trusted)
    return SlotsRequest(slots_folder(slots), settings.trust.keys, allow_unsigned, json)


def _doubts(bundle: "SlotStatus") -> str:
    from edge.bundle.provenance import BY_LAXER_POLICY, ON_SYNTHETIC

    said = [ON_SYNTHETIC] if bundle.synthetic_certificate else []
    if bundle.gates is False:
        said.append("no gates, so that the service refuses to start with it (`convert gates` renews it)")
    said += [f"{BY_LAXER_POLICY}: {bundle.lax_policy}"] if bundle.lax_policy else []
    return "; ".join([*said, *([bundle.acceptance] if bundle.acceptance else [])])


def _text(status: "SlotsStatus") -> str:
    if not status.populated:
        return f"{one_line(status.folder)}: nothing was installed; the bundle of this installation runs"
    lines = []
    for slot, bundle in status.slots.items():
        if bundle is None:
            lines.append(f"  {slot}  empty")
            continue
        serves = status.current == f"{slot}/{bundle.name}"
        mark = ("on trial" if status.on_trial else "serves") if serves else "spare"
        version = f"version {bundle.version}" if bundle.version else "unsigned"
        note = bundle.fault or _doubts(bundle)
        lines.append(f"{'*' if serves else ' '} {slot}  {bundle.name} {version}  {mark}  {note}".rstrip())
    if status.fault:
        lines.append(f"fault: {status.fault}")
    lines += [f"gone back from: {each.name} version {each.version}: {each.why}" for each in status.rejected]
    lines += [
        f"{each['utc'][:19]}Z  {each['what']:<12}{each.get('name') or ''} {each.get('version') or ''}  "
        f"{each.get('why') or each.get('source') or ''}".rstrip()
        for each in status.history
    ]
    return "\n".join(lines)
