"""The `edge classify` command: images on disk to verdicts on standard output, one line each as soon as it is known."""

import json as json_format
import logging
import sys
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

from msgspec import UNSET, Struct, UnsetType
from msgspec.structs import replace

from edge.commands.command_line import Outcome
from edge.errors import ANSWER_IS_NO, DONE, ImageFileError, UsageError
from edge.settings.model import ModelSettings
from edge.settings.site import SiteSettings
from edge.system.option_values import optional_path, whole_number
from edge.system.progress import tracked
from edge.system.streams import one_line

if TYPE_CHECKING:
    from edge.inference.answer import Answer
    from edge.inference.classifier import Classifier
    from edge.inference.contract import Pixels
    from edge.serving.serve import Served

_log = logging.getLogger(__name__)


class ClassifiedImage(Struct, frozen=True):
    """What `edge classify --json` prints of an image, before its bundle.

    Attributes:
        label, reason, detail, gates: as `edge.inference.answer.Answer`; of a file that cannot be judged `reason` is one
            of `edge.inference.images.REASONS`, such as "damaged_image", and `detail` says what is wrong with it.
        probabilities: by label; None too where the licence held the class
            back. latency_ms: from decoded image to answer, milliseconds.
        tiles: where the bundle's contract has tiles and the network was asked: of each its box and probabilities.
        heat: path of the picture that --heat drew of them.

    >>> ClassifiedImage("a.png", reason="damaged_image", detail="damaged: rows are missing").label is None
    True
    """

    path: str
    label: str | None = None
    reason: str | None = None
    detail: str | None = None
    probabilities: dict[str, float] | None = None
    gates: dict[str, float] | None = None
    latency_ms: float | None = None
    tiles: tuple["ClassifiedTile", ...] | UnsetType = UNSET
    heat: str | UnsetType = UNSET

    @property
    def told(self) -> "ClassifiedImage":
        """Without the probabilities that would say what the licence held back."""
        from edge.inference.licence import held_back

        return replace(self, probabilities=None, tiles=UNSET) if held_back(self.label, self.reason) else self


class ClassifiedTile(Struct, frozen=True):
    """One tile: (left, top, right, bottom) in the image's pixels, and the network's own outputs, not calibrated, by
    label; pooled and then calibrated the tiles' are the image's probabilities.

    >>> ClassifiedTile((0, 0, 320, 240), {"Benign": 0.9, "Pre": 0.1}).box
    (0, 0, 320, 240)
    """

    box: tuple[int, int, int, int]
    probabilities: dict[str, float]


@dataclass(frozen=True)
class ClassifyRequest:
    """Images to classify. `keys` is the folder of trusted keys, None the machine's default one.

    >>> classify("a.png", ungated=True).model.ungated
    True
    """

    paths: tuple[Path, ...]
    model: ModelSettings
    json: bool
    allow_uncertified: bool
    allow_unsigned: bool = False
    keys: Path | None = None
    gates_off: tuple[str, ...] = ()
    heat: Path | None = None
    site: SiteSettings = field(default_factory=SiteSettings)
    jobs: int | None = None

    def execute(self) -> Outcome:
        """Classify every image, `jobs` at a time, None as many as there are cores for.

        Returns:
            Code 0 when every image got a class or a reason why none (a gate's, or the model was not sure enough), 1
            when one could not be read. The lines are printed here, so the outcome holds no record of its own, only a
            closing sentence.

        Raises:
            UsageError: a path that does not exist, or a folder without images; nothing is classified then.
        """
        import cv2
        from msgspec import to_builtins

        from edge.bundle.trusted import TrustedKeys
        from edge.commissioning.camera.setups_of_files import CameraSetups
        from edge.inference.images import images_in
        from edge.serving.judges import Judges, again, jobs_for
        from edge.serving.serve import RESEARCH_USE, serve

        images = list(images_in(self.paths))
        _log.info(RESEARCH_USE)
        served = serve(
            self.model,
            trust=TrustedKeys.load(self.keys),
            allow_uncertified=self.allow_uncertified,
            allow_unsigned=self.allow_unsigned,
            gates_off=self.gates_off,
            site=self.site,
        )
        if self.heat is not None:
            require_tiles(served, self.heat)
        provenance = served.provenance.as_record()
        setups = CameraSetups()
        show_progress = sys.stderr.isatty() and not sys.stdout.isatty()
        refused = unread = turned = 0
        jobs = self.jobs or jobs_for(served, len(images))
        if jobs > 1:
            cv2.setNumThreads(1)  # images side by side use the cores better than parts of one

        def judged(served: "Served", numbered: tuple[int, Path]) -> tuple[ClassifiedImage, int]:
            number, path = numbered
            drawn = None if self.heat is None else self.heat / f"{number:04d}-{path.stem}.png"
            return _classified(served, path, drawn)

        answers = Judges(served, jobs, again).each(enumerate(images, 1), judged)
        of_each = zip(images, answers, strict=True)
        for path, (image, orientation) in tracked(of_each, "images", len(images)) if show_progress else of_each:
            turned += orientation != 1
            unread += image.latency_ms is None
            refused += image.label is None and image.latency_ms is not None
            record = {**to_builtins(image.told), **provenance, **setups.of(path)}
            print(json_format.dumps(record, allow_nan=False) if self.json else _row(image, served), flush=True)
        if turned:
            _log.warning(f"{turned} of the images are to be shown turned (EXIF), which is ignored")
        counts = [f"{len(images)} image{'s' if len(images) != 1 else ''}"]
        counts += [f"{refused} refused"] if refused else []
        counts += [f"{unread} not readable"] if unread else []
        return Outcome(ANSWER_IS_NO if unread else DONE, record=[], text=", ".join(counts))


def classify(
    *paths: str,
    bundle: str = "",
    threads: str = "",
    runtime: str = "",
    edgetpu: str = "",
    json: bool = False,
    ungated: bool = False,
    config: str = "",
    allow_uncertified: bool = False,
    allow_unsigned: bool = False,
    heat: str = "",
    jobs: str = "",
) -> ClassifyRequest:
    """Say what a certified model makes of images. Research use only: no verdict here is a diagnosis.

    One line an image, in the order given, folders searched through and sorted by name. An image that cannot be
    judged (out of focus, empty, ...) gets the reason instead of a class. One that cannot be read gets a line with
    the reason too; the others are classified all the same, and the exit code is 1.

    Args:
        paths: images, or folders of images.
        bundle: folder of a model with its certificate; the shipped mobilenet_v2-int8 when left out.
        threads: for one inference.
        runtime: litert, tflite_runtime or tf_lite; the first that is installed when left out.
        edgetpu: usb, pci, usb:N or pci:N: run the model compiled for the Edge TPU there; the CPU when left out.
        json: print one JSON object an image: path, label, reason, probabilities, latency_ms.
        ungated: judge every image, whatever the bundle's gates say; every line says so. For a bundle without gates.
        config: profile; /etc/leukoscope/edge.toml where it exists. Options here come before it.
        allow_uncertified: use a bundle whose certificate does not say "pass".
        allow_unsigned: use a bundle that no key trusted here signed; every record of it says so.
        heat: folder for a picture of each image with what the network said of every tile, for a bundle whose contract
            has tiles; they show the images.
        jobs: images judged at the same time; as many as there are cores for when left out.
    """
    from edge.settings.trusted_keys import machine_profile

    if not paths:
        raise UsageError("edge classify needs the path of an image or a folder")
    settings = machine_profile(optional_path(config))
    model = ModelSettings() if settings is None else settings.model
    return ClassifyRequest(
        paths=tuple(Path(path) for path in paths),
        model=model.with_options(bundle=bundle, runtime=runtime, threads=threads, edgetpu=edgetpu, ungated=ungated),
        json=json,
        allow_uncertified=allow_uncertified,
        allow_unsigned=allow_unsigned,
        keys=None if settings is None else settings.trust.keys,
        gates_off=() if settings is None else settings.gates_off,
        site=SiteSettings() if settings is None else settings.site,
        heat=optional_path(heat),
        jobs=whole_number(jobs, "--jobs", at_least=1) if jobs else None,
    )


def _classified(served: "Served", path: Path, drawn: Path | None = None) -> tuple[ClassifiedImage, int]:
    """The answer to an image, or as the reason for none what is wrong with the file; and its EXIF orientation. Where
    the network was asked, its tiles go to the picture `drawn`."""
    from edge.inference.answer import answer_field
    from edge.inference.images import read_image_file

    try:
        frame, header = read_image_file(path)
    except ImageFileError as error:
        return ClassifiedImage(str(path), reason=error.reason, detail=str(error).removeprefix(f"{path}: ")), 1
    start, classifier = perf_counter(), served.classifier
    found = answer_field(served.gates, classifier, frame, served.licence)
    latency_ms = round((perf_counter() - start) * 1e3, 3)
    probabilities = None
    if found.probabilities is not None:
        probabilities = dict(zip(classifier.contract.labels, found.probabilities, strict=True))
    image = ClassifiedImage(
        str(path),
        found.label,
        found.reason,
        found.detail,
        probabilities,
        dict(found.gates),
        latency_ms,
        _tiles(classifier, found, frame),
        UNSET if drawn is None or found.tiles is None else str(drawn),
    )
    if drawn is not None and found.tiles is not None:
        _draw(drawn, classifier, found, frame)
    return image, header.orientation


def require_tiles(served: "Served", folder: Path) -> None:
    """UsageError unless the bundle's contract has tiles, and OSError unless `folder` takes their pictures."""
    from edge.system.files import require_writable

    if served.bundle.contract.tiles is None:
        raise UsageError(f"--heat draws the tiles of a field; the contract of {served.bundle.name} has none")
    require_writable(folder, "--heat")


def _draw(path: Path, classifier: "Classifier", found: "Answer", frame: "Pixels") -> None:
    from edge.commands.records.tile_picture import draw_heat
    from edge.inference.tiles import field_boxes
    from edge.record.image_sampling import encode_png
    from edge.system.files import write_whole

    contract = classifier.contract
    assert found.tiles is not None and found.probabilities is not None
    said = f"no answer: {found.detail}" if found.label is None else f"{found.label} {max(found.probabilities):.3f}"
    picture = draw_heat(
        frame,
        field_boxes(contract, (frame.shape[1], frame.shape[0])),
        found.tiles,
        labels=contract.labels,
        benign=contract.benign_labels,
        answer=said,
    )
    write_whole(path, encode_png(picture))


def _tiles(classifier: "Classifier", found: "Answer", frame: "Pixels") -> tuple[ClassifiedTile, ...] | UnsetType:
    from edge.inference.tiles import field_boxes

    if found.tiles is None:
        return UNSET
    contract = classifier.contract
    boxes = field_boxes(contract, (frame.shape[1], frame.shape[0]))
    return tuple(
        ClassifiedTile(box, dict(zip(contract.labels, tile, strict=True)))
        for box, tile in zip(boxes, found.tiles, strict=True)
    )


def _row(image: ClassifiedImage, served: "Served") -> str:
    """`Pre        0.996     4.2 ms  path`, or the reason why not; a verdict says how it is accepted."""
    path = one_line(image.path)
    if image.label is None:
        detail = image.detail or image.reason
        if image.latency_ms is None:  # not judged: the name of the reason tells damage from other kinds
            detail = f"{image.reason}: {detail}"
        detail = one_line(str(detail))
        return f"{'-':<12}{'-':>6}{'-':>10}     {path}  ({detail})"
    assert image.probabilities is not None
    said = f"  ({served.licence.acceptance})" + ("  (ungated)" if served.ungated else "")
    return f"{image.label:<12}{max(image.probabilities.values()):6.3f}{image.latency_ms:>10.1f} ms  {path}{said}"
