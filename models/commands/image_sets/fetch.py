"""The `models fetch` command."""

from dataclasses import dataclass
from pathlib import Path

from edge.commands.command_line import Outcome
from edge.errors import ANSWER_IS_NO, DONE


@dataclass(frozen=True)
class FetchRequest:
    """Check a user's own download of the published set and lay it out."""

    source: Path
    to: Path
    json: bool

    def execute(self) -> Outcome:
        """Exit 1 when images are missing or altered; what is right is laid out all the same."""
        from models.data.fetch import fetch, to_text

        record = fetch(self.source, self.to)
        return Outcome(DONE if record["complete"] else ANSWER_IS_NO, record, to_text(record))


def fetch(*, from_: str, to: str, json: bool = False) -> FetchRequest:
    """Check your own download of the published image set and lay it out as a folder a class.

    Args:
        from_: the archive or folder you downloaded.
        to: folder to lay the images out in.
        json: print the record as JSON.
    """
    return FetchRequest(Path(from_), Path(to), json)
