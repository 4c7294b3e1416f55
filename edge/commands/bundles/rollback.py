"""The `edge rollback` command."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edge.commands.bundles.update import proof_as_served
from edge.commands.command_line import Outcome
from edge.errors import DONE
from edge.system.option_values import optional_path

if TYPE_CHECKING:
    from edge.serving.update.sandboxed_selftest import Proof


@dataclass(frozen=True)
class RollbackRequest:
    """Go back to the other slot.

    >>> rollback(slots="/srv/slots").slots
    PosixPath('/srv/slots')
    """

    slots: Path
    proof: "Proof"
    why: str
    json: bool

    def execute(self) -> Outcome:
        """Switch; UpdateError (1) where there is nothing good to go back to."""
        from edge.serving.update.slots import Slots
        from edge.serving.update.updater import roll_back

        now, before = roll_back(Slots(self.slots), self.proof, why=self.why)
        record = {"action": "rolled_back", "current": str(now), "before": str(before) if before else None}
        text = f"{now} serves from the next start of the service on" + (f"; {before} served before" if before else "")
        return Outcome(DONE, record, text)


def rollback(
    why: str = "",
    allow_unsigned: bool = False,
    config: str = "",
    slots: str = "",
    trusted: str = "",
    json: bool = False,
) -> RollbackRequest:
    """Go back to the bundle in the other slot; the one left is not installed again unless told.

    A running service ends and serves the other one when it is started again. Exit code 1 when there is no other good
    slot.

    Args:
        why: for the history.
        allow_unsigned: also to a bundle that no key trusted here signed.
        config: profile; /etc/leukoscope/edge.toml where it exists.
        slots: folder of the slots; /var/lib/leukoscope/bundles when left out.
        trusted: folder of trusted keys; the profile's, or the machine's own, when left out.
        json: print one JSON object.
    """
    from edge.serving.update.slots import slots_folder
    from edge.settings.profile import load

    settings = load(optional_path(config)).with_options(trusted=trusted)
    proof = proof_as_served(settings, config, allow_unsigned)
    return RollbackRequest(slots_folder(slots), proof, why or "rolled back by hand", json)
