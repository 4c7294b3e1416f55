"""`edge classify`: images on disk to verdicts on standard output, one line each as soon as it is known."""

import importlib.util
import json as json_format
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge import bundle as bundles
from edge.classifier import Classifier
from edge.command import ANSWER_IS_NO, DONE, Outcome, UsageError, note, switch, whole_number
from edge.errors import BundleError, FrameError, ImageFileError
from edge.images import IMAGE_SUFFIXES, read_image
from edge.interpreters import MOST_THREADS, RUNTIMES, open_interpreter

DEFAULT_BUNDLE = "mobilenet_v2-int8"
RESEARCH_USE = "research use only: not a medical device, and no verdict is a diagnosis"


@dataclass(frozen=True)
class ClassifyRequest:
    """Images to classify. `bundle` None means the shipped one, `runtime` None the first installed."""

    paths: tuple[Path, ...]
    bundle: Path | None
    threads: int
    runtime: str | None
    json: bool
    allow_uncertified: bool

    def execute(self) -> Outcome:
        """Classify every image.

        Returns:
            Code 0 when every image got a verdict, 1 when one could not be read. The lines are printed here,
            so the outcome holds no record of its own, only a closing sentence.

        Raises:
            UsageError: a path that does not exist, or a folder without images; nothing is classified then.
        """
        images = list(_images(self.paths))
        note(RESEARCH_USE)
        classifier = self._classifier()
        unread = 0
        for path in images:
            record = _classified(classifier, path)
            unread += record["label"] is None
            print(json_format.dumps(record, allow_nan=False) if self.json else _row(record), flush=True)
        counted = f"{len(images)} image{'s' if len(images) != 1 else ''}"
        text = f"{counted}, {unread} without a verdict" if unread else f"{counted}"
        return Outcome(ANSWER_IS_NO if unread else DONE, record=[], text=text)

    def _classifier(self) -> Classifier:
        bundle = bundles.load(self.bundle or default_bundle(), allow_uncertified=self.allow_uncertified)
        if bundle.certificate.get("synthetic"):
            note(f"warning: {bundle.name} was judged on drawn fields only; its accuracy is not known")
        if not bundle.certified:
            note(f"warning: the certificate of {bundle.name} says {bundle.certificate['verdict']!r}")
        interpreter = open_interpreter(bundle.model, runtime=self.runtime, threads=self.threads)
        classifier = Classifier(bundle.contract, interpreter)
        bundles.require_golden(bundle, interpreter)
        return classifier


def classify_request(
    paths: Sequence[str],
    *,
    bundle: str,
    threads: str,
    runtime: str,
    json: object,
    allow_uncertified: object,
) -> ClassifyRequest:
    """The request that the words of a command line make; UsageError where they make none."""
    if not paths:
        raise UsageError("edge classify needs the path of an image or a folder")
    count = whole_number(threads, "--threads", at_least=1)
    if count > MOST_THREADS:
        raise UsageError(f"--threads must be at most {MOST_THREADS}; got {count}")
    if runtime and runtime not in RUNTIMES:
        raise UsageError(f"--runtime must be one of {', '.join(RUNTIMES)}; got {runtime!r}")
    return ClassifyRequest(
        paths=tuple(Path(path) for path in paths),
        bundle=Path(bundle) if bundle else None,
        threads=count,
        runtime=runtime or None,
        json=switch(json, "--json"),
        allow_uncertified=switch(allow_uncertified, "--allow-uncertified"),
    )


def default_bundle() -> Path:
    """The bundle that ships beside this package, found without importing anything.

    Raises:
        BundleError: none ships with this installation.
    """
    found = importlib.util.find_spec("models")  # locates a top-level package without running it
    for folder in (found.submodule_search_locations if found else None) or ():
        path = Path(folder) / "bundles" / DEFAULT_BUNDLE
        if path.is_dir():
            return path
    raise BundleError(f"no {DEFAULT_BUNDLE} bundle ships with this installation; name one with --bundle PATH")


def _images(paths: Sequence[Path]) -> Iterator[Path]:
    """Named files as they are (whatever their suffix), folders as the images in them."""
    for path in paths:
        if path.is_dir():
            inside = sorted(p for p in path.rglob("*") if p.suffix.lower() in IMAGE_SUFFIXES and p.is_file())
            if not inside:
                raise UsageError(f"{path}: no images in this folder ({', '.join(sorted(IMAGE_SUFFIXES))})")
            yield from inside
        elif path.exists():
            yield path
        else:
            raise UsageError(f"{path}: no such image or folder")


def _classified(classifier: Classifier, path: Path) -> dict[str, Any]:
    record: dict[str, Any] = {"path": str(path), "label": None, "reason": None}
    try:
        verdict = classifier.classify(read_image(path))
    except (ImageFileError, FrameError) as error:
        return {**record, "reason": str(error), "probabilities": None, "latency_ms": None}
    probabilities = dict(zip(classifier.contract.labels, verdict.probabilities, strict=True))
    return {
        **record,
        "label": verdict.label,
        "probabilities": probabilities,
        "latency_ms": round(verdict.latency_ms, 3),
    }


def _row(record: Mapping[str, Any]) -> str:
    """`Pre        0.996     4.2 ms  path`, or the reason why not."""
    path = os.fsencode(record["path"]).decode("utf-8", "backslashreplace").replace("\n", "\\n")
    if record["label"] is None:
        reason = str(record["reason"]).removeprefix(f"{record['path']}: ")
        return f"{'-':<12}{'-':>6}{'-':>10}     {path}  ({reason})"
    highest = max(record["probabilities"].values())
    return f"{record['label']:<12}{highest:6.3f}{record['latency_ms']:>10.1f} ms  {path}"
