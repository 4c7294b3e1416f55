"""The check that nobody trained, calibrated, thresholded or chose by the slides that judge: by image and by slide."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from convert.errors import AcceptanceRefused
from edge.bundle.bundle import Bundle
from edge.bundle.files import ADAPTATION
from edge.bundle.manifest import json_object
from edge.errors import BundleError
from edge.system.files import read_at_most
from models.data.fetch import published_files
from models.data.published import TRAINED
from models.site.fields import SiteFields

_LARGEST_BYTES = 64 * 2**20


class _Image(Struct, frozen=True):
    """An image in `adaptation.json`, as far as it is asked here."""

    name: str
    sha256: str
    slide: str
    use: str


class _Start(Struct, frozen=True):
    name: str


class Adaptation(Struct, frozen=True):
    """`adaptation.json`, as far as it is asked here (`models.adaptation.adaptation_record`)."""

    site: str
    images: tuple[_Image, ...]
    start: _Start | None = None


@dataclass(frozen=True)
class _Known:
    """One list of images: the rule it gives, what was done with them, and sha256 to name."""

    rule: str
    did: str
    images: Mapping[str, str]


def read_adaptation(bundle: Bundle, given: Path | None = None) -> Adaptation | None:
    """The record of the adaptation: that of the bundle, else the file that is named; None where there is neither.

    Raises:
        BundleError: it is none.
    """
    path, data = bundle.path / ADAPTATION, bundle.adaptation_json
    if data is None:
        if given is None:
            return None
        path, data = given, read_at_most(given, _LARGEST_BYTES, BundleError)
    try:
        return msgspec.convert(json_object(path, data), Adaptation)
    except msgspec.ValidationError as error:
        raise BundleError(f"{path}: no record of an adaptation: {error}") from error


def require_untouched(site: SiteFields, bundle: Bundle, adaptation: Adaptation | None) -> dict[str, int | None]:
    """Refuse fields that had a part in the bundle.

    Returns:
        How many images those of the site were compared with, by what they did; None where no list of them exists.

    Raises:
        AcceptanceRefused: image_trained, image_compared, image_calibrated, image_published, slide_trained.
    """
    known = list(_lists(bundle, adaptation))
    for each in known:
        for field in site.fields:
            if (name := each.images.get(field.sample.sha256)) is not None:
                said = f"{field.sample.name} is {name}, which {each.did}"
                raise AcceptanceRefused(each.rule, f"{said}; judge by slides that had no part in it")
    slides = {} if adaptation is None else {image.slide.casefold(): image for image in adaptation.images}
    for slide in site.slides:
        if (known_as := slides.get(slide.casefold())) is not None:
            raise AcceptanceRefused(
                "slide_trained",
                f"slide {slide} has other fields that the network was made with ({known_as.name}); one slide is "
                "one patient: hold whole slides back",
            )
    evaluated = _evaluation(bundle.certificate)
    return {
        "trained": None if adaptation is None else len(adaptation.images),
        "calibrated": len(calibrated(bundle.calibration)),
        "compared": len(evaluated) if evaluated else None,
    }


def _lists(bundle: Bundle, adaptation: Adaptation | None) -> Iterator[_Known]:
    if adaptation is not None:
        by_use: dict[str, dict[str, str]] = {}
        for image in adaptation.images:
            by_use.setdefault(image.use, {})[image.sha256] = image.name
        parity = by_use.pop("parity", {})
        fitted = {sha: name for images in by_use.values() for sha, name in images.items()}
        yield _Known("image_trained", "the network, its thresholds or its gates were made with", fitted)
        yield _Known("image_compared", "float and int8 were compared by", parity)
    yield _Known("image_calibrated", "the int8 model was calibrated with", calibrated(bundle.calibration))
    evaluated = dict.fromkeys(_evaluation(bundle.certificate), "an image")
    yield _Known("image_compared", "float and int8 were compared by", evaluated)
    if _start(bundle, adaptation) in TRAINED:
        published = {file.sha256: file.name for file in published_files()}
        yield _Known("image_published", "is of the published set that the shipped networks learned from", published)


def calibrated(calibration: Mapping[str, Any]) -> dict[str, str]:
    """sha256 to name of the images in `calibration.json`; empty for a set that was drawn."""
    files = calibration.get("files")
    if calibration.get("synthetic") is True or not isinstance(files, list):
        return {}
    known = (each for each in files if isinstance(each, dict))
    return {str(each["sha256"]): str(each.get("name", "an image")) for each in known if "sha256" in each}


def _evaluation(certificate: Mapping[str, Any]) -> tuple[str, ...]:
    evaluation = certificate.get("evaluation")
    found = evaluation.get("sha256s") if isinstance(evaluation, dict) else None
    return tuple(map(str, found)) if isinstance(found, list) else ()


def _start(bundle: Bundle, adaptation: Adaptation | None) -> str:
    """Name of the network that the bundle began as."""
    if adaptation is not None and adaptation.start is not None:
        return adaptation.start.name
    model = bundle.certificate.get("float_model")
    return str(model.get("name", "")) if isinstance(model, dict) else ""
