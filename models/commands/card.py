"""The `models card` command."""

from dataclasses import dataclass
from pathlib import Path

from edge.commands.command_line import Outcome
from edge.errors import DONE
from edge.system.files import require_writable, write_whole
from models.commands import network_options
from models.commands.network_options import output_folder


@dataclass(frozen=True)
class CardRequest:
    """Write the model cards from the files that the other commands wrote."""

    folders: tuple[Path, ...]
    out: tuple[Path, ...]
    json: bool

    def execute(self) -> Outcome:
        """Writes the `CARD.md` of each folder into the folder in `out` at its place."""
        from models.report.card import card

        for folder, out in zip(self.folders, self.out, strict=True):
            require_writable(out, "the card's folder")
            write_whole(out / "CARD.md", card(folder))
        names = [str(out / "CARD.md") for out in self.out]
        return Outcome(DONE, {"written": names}, "written: " + ", ".join(names))


def card(*folders: str, overwrite_shipped: bool = False, json: bool = False) -> CardRequest:
    """Write CARD.md from the records in a network's folder.

    Args:
        folders: network folders or names; the shipped ones when none is given.
        overwrite_shipped: write over the records that ship with a shipped network; without it they are left alone, and
            what is measured goes to build/shipped/NETWORK.
        json: print the written files as JSON.
    """
    chosen = network_options.model_folders(folders)
    out = tuple(output_folder(each, overwrite_shipped=overwrite_shipped) for each in chosen)
    return CardRequest(chosen, out, json)
