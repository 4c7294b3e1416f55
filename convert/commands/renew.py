"""The commands that renew a part of a bundle without converting it again: `convert golden` and `convert gates`."""

from dataclasses import dataclass
from pathlib import Path

from convert.calibration.evaluation_data import ImageFolder
from convert.certification.renewal import renew
from convert.commands.arguments import image_folder
from edge.commands.command_line import Outcome
from edge.errors import ANSWER_IS_NO, DONE, UsageError
from edge.inference.domain import Domain, domain_named
from edge.system.option_values import optional_path


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


@dataclass(frozen=True)
class GatesRequest:
    """Give a bundle the gates that its images make, or those of a file.

    Attributes:
        data: images, a folder a class; file: a gates.json. One of the two.
        domain: what the images show; None takes the contract's.

    >>> gates("seeds-int8", data="seeds").bundle
    PosixPath('seeds-int8')
    """

    bundle: Path
    data: ImageFolder | None
    file: Path | None
    domain: Domain | None
    json: bool

    def execute(self) -> Outcome:
        """Writes the bundle again, whole or not at all. Exit 1 when the gates surely refuse too many test images.

        Raises:
            BundleError: no bundle. GatesError: gates for another size. DatasetError: no such images, or too few.
        """
        from convert.certification.gates import fit_to, given_gates
        from convert.certification.renewal import renew_gates
        from edge.inference.contract import InputContract
        from edge.inference.gates.gates_file import GatesFile
        from models.commands.gates import gates_lines, record_of
        from models.decision.gates_fit import refuses_too_many

        def made(contract: InputContract, before: GatesFile | None) -> GatesFile:
            if self.data is None:
                assert self.file is not None
                return given_gates(self.file, contract)
            command = f"convert gates {self.bundle.name} --data {self.data.root.name}"
            domain = self.domain or contract.domain or (None if before is None else before.domain)
            return fit_to(self.data.source(contract.labels), contract, command, domain)

        file = renew_gates(self.bundle, made)
        text = "\n".join([*gates_lines(file), f"written: {self.bundle / 'gates.json'}"])
        return Outcome(ANSWER_IS_NO if refuses_too_many(file) else DONE, record_of(file), text)


def gates(
    bundle: str, *, data: str = "", split: str = "", gates: str = "", domain: str = "", json: bool = False
) -> GatesRequest:
    """Say in a bundle when its model must not be asked, without converting it again. A signature must be made anew.

    Training images fit, validation images set limits, test images tell what is refused; with few images the first two
    take turns. Exit 1 when more than 3 % of the test images are surely refused.

    Args:
        bundle: folder of the bundle.
        data: folder with one sub-folder of images a class.
        split: CSV from `models split`; the shipped one for the published set, else made from the images.
        gates: gates.json to put into the bundle instead, such as one of `models gates`.
        domain: what the images show: "blood smear" for stained smears, else "any"; that of the contract, or of the
            bundle's gates of before, when left out.
        json: print limits and what they refuse as JSON.
    """
    if bool(data) == bool(gates):
        raise UsageError("convert gates needs --data DIR to fit gates to images, or --gates FILE; one of the two")
    if gates and (split or domain):
        raise UsageError("--split and --domain go with --data; --gates FILE says both")
    return GatesRequest(Path(bundle), image_folder(data, split), optional_path(gates), domain_named(domain), json)
