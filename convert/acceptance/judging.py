"""The fields of held-back slides, answered by the device's own path, and the slides that they belong to."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from convert.errors import AcceptanceRefused
from edge.bundle import bundle as bundles
from edge.bundle.acceptance import AcceptedSlide, PaintedOut, Repeatability
from edge.bundle.bundle import Bundle
from edge.inference.answer import answer, answer_field
from edge.inference.classifier import Classifier
from edge.inference.contract import InputContract, Pixels
from edge.inference.decision import LOW_CONFIDENCE
from edge.inference.gates.base import GateReport, Gates
from edge.inference.images import images_in, read_image_file
from edge.inference.licence import Finding, slide_finding
from edge.inference.runtime.interpreters import open_interpreter
from edge.inference.tiles import prepare_tiles
from edge.system.progress import tracked
from models.evaluation.interventions import without_white_cells
from models.site.fields import SiteField, SiteFields


@dataclass(frozen=True)
class JudgedField:
    """One field and its answer.

    Attributes:
        label: of the reference. passed: the gates let it through. reason: why no class is answered, None where one is.
        called: the likeliest class; None where a gate refused. probability: its calibrated one, 0..1.
    """

    field: SiteField
    passed: bool
    reason: str | None
    called: str | None
    probability: float

    @property
    def slide(self) -> str:
        """Its slide."""
        return self.field.slide

    def answered_benign(self, benign: Sequence[str], benign_from: float) -> bool:
        """Whether it is answered with one of `benign` where such an answer takes at least `benign_from`."""
        return self.reason is None and self.called in benign and self.probability >= benign_from


class Judge:
    """A bundle's classifier and gates, as a device asks them; its golden images are replayed first."""

    def __init__(self, bundle: Bundle) -> None:
        interpreter = open_interpreter(bundle.model)
        bundles.require_golden(bundle, interpreter)
        self.contract = bundle.contract
        self._gates = Gates(()) if bundle.gates is None else bundle.gates.gates()
        self._classifier = Classifier(self.contract, interpreter)

    def field(self, field: SiteField) -> JudgedField:
        """The answer to a field; ImageFileError where its file cannot be judged any more."""
        return JudgedField(field, *self._asked(field.sample.path))

    def answer(self, path: Path, benign: Sequence[str], benign_from: float) -> str | None:
        """The class that an image is answered with, where a benign answer takes at least `benign_from`."""
        _, reason, called, probability = self._asked(path)
        return None if reason is not None or (called in benign and probability < benign_from) else called

    def _asked(self, path: Path) -> tuple[bool, str | None, str | None, float]:
        frame, _ = read_image_file(path)
        found = answer_field(self._gates, self._classifier, frame)
        passed = found.reason in (None, LOW_CONFIDENCE)
        if not passed or found.probabilities is None:
            return False, found.reason, None, 0.0
        highest = max(found.probabilities)
        return True, found.reason, self.contract.labels[found.probabilities.index(highest)], highest

    def without_white_cells(self, field: SiteField) -> str | None:
        """What is answered for a field whose white cells are painted out, no gate asked; None for no class."""
        frame, _ = read_image_file(field.sample.path)
        pixels = painted_out(self.contract, frame)
        return answer(GateReport(()), self._classifier.classify_prepared(pixels)).label


def painted_out(contract: InputContract, frame: Pixels) -> Pixels:
    """What the network sees of a frame without its white cells: uint8 (h, w, 3), or (tiles, h, w, 3)."""
    if contract.tiles is None:
        return without_white_cells(contract.prepare(frame))[0]
    columns, rows = contract.tiles
    whole = replace(contract, size=(contract.size[0] * columns, contract.size[1] * rows), tiles=None, decision=None)
    return prepare_tiles(contract, without_white_cells(whole.prepare(frame))[0])


def judge_fields(judge: Judge, site: SiteFields) -> tuple[JudgedField, ...]:
    """The answers to all fields of a site, with progress."""
    return tuple(judge.field(field) for field in tracked(site.fields, "judging fields"))


def judged_slides(
    fields: Sequence[JudgedField], benign: Sequence[str], benign_from: float = 0.0
) -> tuple[AcceptedSlide, ...]:
    """The slides, sorted by name, when a benign answer takes at least `benign_from`."""
    found = []
    for name, own in _by_slide(fields).items():
        passed = sum(field.passed for field in own)
        as_benign = sum(field.answered_benign(benign, benign_from) for field in own)
        other = sum(field.reason is None and field.called not in benign for field in own)
        finding: Finding = slide_finding(len(own), passed, as_benign, other)
        images = tuple(sorted(field.field.sample.sha256 for field in own))
        found.append(AcceptedSlide(name, own[0].field.label, len(own), passed, as_benign, other, finding, images))
    return tuple(found)


def refused_by(fields: Sequence[JudgedField], benign: Sequence[str], benign_from: float) -> dict[str, int]:
    """Unanswered fields by reason."""
    reasons: Counter[str] = Counter()
    for field in fields:
        unsure = field.called in benign and not field.answered_benign(benign, benign_from)
        if reason := field.reason or (LOW_CONFIDENCE if unsure else None):
            reasons[reason] += 1
    return dict(sorted(reasons.items()))


def cells_painted_out(judge: Judge, fields: Sequence[JudgedField], benign: Sequence[str]) -> PaintedOut | None:
    """The control of cells on one field of each leukemic slide that was answered so; None where there is none."""
    chosen = []
    for own in _by_slide(fields).values():
        if own[0].field.label not in benign:
            chosen += [field for field in own if field.reason is None and field.called not in benign][:1]
    if not chosen:
        return None
    said = [judge.without_white_cells(field.field) for field in tracked(chosen, "painting white cells out")]
    return PaintedOut(len(said), sum(label is not None and label not in benign for label in said))


def repeatability(judge: Judge, folder: Path, benign: Sequence[str], benign_from: float) -> Repeatability:
    """Frames of one field that were taken again: how often they are answered alike, by class or not at all.

    Args:
        folder: a sub-folder a field, with two images or more.

    Raises:
        AcceptanceRefused: "no_repeats". ImageFileError: an image that cannot be read.
    """
    fields: list[list[Path]] = []
    for each in sorted(path for path in folder.iterdir() if path.is_dir()):
        images = list(images_in([each]))
        if len(images) < 2:
            raise AcceptanceRefused("no_repeats", f"{each} must hold two or more images of a field; got {len(images)}")
        fields.append(images)
    if not fields:
        raise AcceptanceRefused("no_repeats", f"{folder} must hold a folder a field; it has none")
    same = 0
    for images in tracked(fields, "judging repeats"):
        answers = {judge.answer(path, benign, benign_from) for path in images}
        same += len(answers) == 1
    return Repeatability(len(fields), sum(map(len, fields)), same)


def _by_slide(fields: Sequence[JudgedField]) -> dict[str, list[JudgedField]]:
    found: dict[str, list[JudgedField]] = {}
    for field in fields:
        found.setdefault(field.slide, []).append(field)
    return dict(sorted(found.items()))
