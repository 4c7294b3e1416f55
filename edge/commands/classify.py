"""`edge classify`: images on disk to verdicts on standard output, one line each as soon as it is known."""

import json as json_format
import logging
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

from edge.bundle.trusted import TrustedKeys
from edge.commands.command_line import Outcome
from edge.errors import ANSWER_IS_NO, DONE, FrameError, ImageFileError, UsageError
from edge.inference.answer import answer_frame
from edge.inference.classifier import Classifier
from edge.inference.gates.base import Gates
from edge.inference.gates.standard import standard_gates
from edge.inference.images import IMAGE_SUFFIXES, read_image
from edge.serving.serve import RESEARCH_USE, serve
from edge.settings.model import ModelSettings
from edge.settings.trusted_keys import machine_profile
from edge.system.option_values import switch

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ClassifyRequest:
    """Images to classify. `keys` is the folder of trusted keys, None the machine's default one."""

    paths: tuple[Path, ...]
    model: ModelSettings
    json: bool
    gated: bool
    allow_uncertified: bool
    allow_unsigned: bool = False
    keys: Path | None = None

    def execute(self) -> Outcome:
        """Classify every image.

        Returns:
            Code 0 when every image got a class or a reason why none (a gate's, or the model was not sure enough), 1
            when one could not be read. The lines are printed here, so the outcome holds no record of its own, only a
            closing sentence.

        Raises:
            UsageError: a path that does not exist, or a folder without images; nothing is classified then.
        """
        images = list(images_in(self.paths))
        _log.info(RESEARCH_USE)
        served = serve(
            self.model.bundle,
            runtime=self.model.runtime,
            threads=self.model.threads,
            edgetpu=self.model.edgetpu,
            fallback=self.model.fallback,
            trust=TrustedKeys.load(self.keys),
            allow_uncertified=self.allow_uncertified,
            allow_unsigned=self.allow_unsigned,
        )
        provenance = served.bundle.provenance.as_record()
        gates = self._gates(served.bundle.contract.size)
        show_progress = sys.stderr.isatty() and not sys.stdout.isatty()
        refused = unread = 0
        for number, path in enumerate(images, 1):
            record = _classified(served.classifier, gates, path) | provenance
            unread += record["latency_ms"] is None
            refused += record["label"] is None and record["latency_ms"] is not None
            print(json_format.dumps(record, allow_nan=False) if self.json else _row(record), flush=True)
            if show_progress:
                print(f"\r{number} of {len(images)}", end="", file=sys.stderr, flush=True)
        if show_progress:
            print(file=sys.stderr)
        counts = [f"{len(images)} image{'s' if len(images) != 1 else ''}"]
        counts += [f"{refused} refused"] if refused else []
        counts += [f"{unread} not readable"] if unread else []
        return Outcome(ANSWER_IS_NO if unread else DONE, record=[], text=", ".join(counts))

    def _gates(self, size: tuple[int, int]) -> Gates:
        """The gates; none, with a warning, for a model whose frames their limits are not for."""
        gates = standard_gates() if self.gated else Gates(())
        try:
            gates.require_size(size)
        except FrameError as error:
            _log.warning(f"no image is refused: {error}")
            return Gates(())
        return gates


def classify_request(
    paths: Sequence[str],
    *,
    bundle: str,
    threads: str,
    runtime: str,
    json: object,
    ungated: object,
    allow_uncertified: object,
    allow_unsigned: object = False,
    config: str = "",
    edgetpu: str = "",
) -> ClassifyRequest:
    """The request that the words of a command line make, over the profile; UsageError where they make none."""
    if not paths:
        raise UsageError("edge classify needs the path of an image or a folder")
    settings = machine_profile(Path(config) if config else None)
    model = ModelSettings() if settings is None else settings.model
    return ClassifyRequest(
        paths=tuple(Path(path) for path in paths),
        model=model.with_words(bundle=bundle, runtime=runtime, threads=threads, edgetpu=edgetpu),
        json=switch(json, "--json"),
        gated=not switch(ungated, "--ungated"),
        allow_uncertified=switch(allow_uncertified, "--allow-uncertified"),
        allow_unsigned=switch(allow_unsigned, "--allow-unsigned"),
        keys=None if settings is None else settings.trust.keys,
    )


def images_in(paths: Sequence[Path]) -> Iterator[Path]:
    """Named files as they are (whatever their suffix), folders as the images in them; UsageError where none is."""
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


def _classified(classifier: Classifier, gates: Gates, path: Path) -> dict[str, Any]:
    """The record of an image: the answer to it, or as the reason for none what is wrong with the file."""
    empty: dict[str, Any] = {"label": None, "reason": None, "detail": None, "probabilities": None, "gates": None}
    record = {"path": str(path), **empty, "latency_ms": None}
    try:
        frame = read_image(path)
        start = perf_counter()
        pixels = classifier.contract.prepare(frame)
    except (ImageFileError, FrameError) as error:
        return {**record, "reason": str(error)}
    found = asdict(answer_frame(gates, classifier, pixels))
    if found["probabilities"] is not None:
        found["probabilities"] = dict(zip(classifier.contract.labels, found["probabilities"], strict=True))
    return {**record, **found, "latency_ms": round((perf_counter() - start) * 1e3, 3)}


def _row(record: Mapping[str, Any]) -> str:
    """`Pre        0.996     4.2 ms  path`, or the reason why not."""
    path = os.fsencode(record["path"]).decode("utf-8", "backslashreplace").replace("\n", "\\n")
    if record["label"] is None:
        detail = str(record["detail"] or record["reason"]).removeprefix(f"{record['path']}: ")
        return f"{'-':<12}{'-':>6}{'-':>10}     {path}  ({detail})"
    highest = max(record["probabilities"].values())
    return f"{record['label']:<12}{highest:6.3f}{record['latency_ms']:>10.1f} ms  {path}"
