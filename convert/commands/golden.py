"""The `convert golden` command."""

from dataclasses import dataclass
from pathlib import Path

from convert.certification.renewal import renew
from edge.commands.command_line import Outcome
from edge.errors import DONE, UsageError


@dataclass(frozen=True)
class GoldenRequest:
    """Renew the golden images of `bundles`.

    >>> golden("dots-int8").bundles
    (PosixPath('dots-int8'),)
    """

    bundles: tuple[Path, ...]
    json: bool

    def execute(self) -> Outcome:
        """One bundle after the other; a bundle that answers otherwise here than where it was certified is refused.

        Raises:
            BundleError: no bundle, or this machine's arithmetic is not the certificate's. GoldenMismatchError: its
                model answers otherwise here. OSError: it cannot be written; it is what it was.
        """
        records = [renew(path) for path in self.bundles]
        lines = [
            f"{path}: {len(record['images'])} golden images, certified for kinds {', '.join(record['kinds'])}"
            for path, record in zip(self.bundles, records, strict=True)
        ]
        named = {str(path): record for path, record in zip(self.bundles, records, strict=True)}
        return Outcome(DONE, named, "\n".join(lines))


def golden(*paths: str, json: bool = False) -> GoldenRequest:
    """Choose and certify a bundle's golden images again, without converting it. A signature must be made anew.

    Args:
        paths: folders of bundles.
        json: print what was chosen as JSON, by bundle.
    """
    if not paths:
        raise UsageError("convert golden needs the folder of a bundle, or several")
    return GoldenRequest(tuple(Path(path) for path in paths), json)
