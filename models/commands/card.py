"""The `models card` command."""

from dataclasses import dataclass
from pathlib import Path

from edge.commands.command_line import Outcome
from edge.errors import DONE
from edge.system.files import write_whole
from models.commands import network_options


@dataclass(frozen=True)
class CardRequest:
    """Write the model cards from the files that the other commands wrote."""

    folders: tuple[Path, ...]
    json: bool

    def execute(self) -> Outcome:
        """Writes `CARD.md` in each folder."""
        from models.report.card import card

        for folder in self.folders:
            write_whole(folder / "CARD.md", card(folder))
        names = [str(folder / "CARD.md") for folder in self.folders]
        return Outcome(DONE, {"written": names}, "written: " + ", ".join(names))


def card(*folders: str, json: bool = False) -> CardRequest:
    """Write CARD.md from the records in a network's folder.

    Args:
        folders: network folders or names; the shipped ones when none is given.
        json: print the written files as JSON.
    """
    return CardRequest(network_options.model_folders(folders), json)
