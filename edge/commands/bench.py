"""The `edge bench` command."""

import logging
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from edge.bundle.trusted import TrustedKeys
from edge.commands.command_line import Outcome
from edge.diagnostics import board
from edge.diagnostics.bench import FEWEST_FRAMES, table
from edge.diagnostics.bench_timing import (
    Times,
    compare,
    contenders,
    drawn_frame,
    interleaved,
    median,
    mediapipe_classifier,
    peak_rss_mb,
    percentiles,
    stages,
)
from edge.errors import DONE, UsageError
from edge.serving.serve import Served, serve
from edge.system.machine import Machine
from edge.system.option_values import switch, whole_number

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class BenchRequest:
    """What to time. `bundle` None is the shipped one, `runtime` None the first installed, `mediapipe` None none,
    `keys` None the machine's default folder.

    `folder` exists; the pipeline's record is made in it, on the disk that counts, and removed.
    """

    bundle: Path | None
    threads: int
    runtime: str | None
    frames: int
    folder: Path
    mediapipe: Path | None
    figure: Path | None
    json: bool
    keys: Path | None = None
    allow_unsigned: bool = False
    edgetpu: str | None = None
    fallback: bool = False

    def execute(self) -> Outcome:
        """Time stages, pipeline and contenders.

        Returns:
            Code 0. Record: the medians of DESIGN and `details`; the text is a table of the same.

        Raises:
            LeukoscopeError: no bundle, interpreter, file for MediaPipe or room for the pipeline's record.
        """
        from edge.diagnostics.bench_pipeline import pipeline_rate

        if self.mediapipe is not None and not self.mediapipe.is_file():
            raise UsageError(f"--mediapipe must be a uint8 .tflite file with metadata; got {self.mediapipe}")
        machine = Machine()
        before, load = board.hottest_c(machine), os.getloadavg()[0]
        cv2.setNumThreads(self.threads)
        trust = TrustedKeys.load(self.keys)
        served = serve(
            self.bundle,
            runtime=self.runtime,
            threads=self.threads,
            edgetpu=self.edgetpu,
            fallback=self.fallback,
            trust=trust,
            allow_unsigned=self.allow_unsigned,
        )
        classifier, frame = served.classifier, drawn_frame()
        _log.info("pipeline and bare interpreter, in turns")
        rates = pipeline_rate(served, frame, self.frames, self.folder)
        peak_mb = peak_rss_mb()  # before the virtual microscope and others' packages come in
        _log.info(f"stages: {self.frames} frames")
        timed = {**stages(classifier, frame, self.frames), "store": rates.store_ms}
        _log.info(f"contenders: {self.frames} rounds")
        with mediapipe_classifier(self.mediapipe) as others:
            times = interleaved(contenders(classifier, frame, others), self.frames)
        record = {
            "bundle": served.bundle.name,
            "runtime": classifier.interpreter.runtime,
            "threads": self.threads,
            **{f"{name}_ms": round(median(values), 4) for name, values in times.items()},
            "pipeline_fps": round(median(rates.pipeline_fps), 1),
            "invoke_fps": round(median(rates.invoke_fps), 1),
            "peak_rss_mb": round(peak_mb, 1),
            "details": {
                **_about(served, machine),
                "frames": self.frames,
                "load_before": round(load, 2),
                "contenders": {name: percentiles(values) for name, values in times.items()},
                "against_invoke": {n: compare(v, times["invoke"]) for n, v in times.items() if n != "invoke"},
                "against_mediapipe": _against_mediapipe(times),
                "stages": {name: percentiles(values) for name, values in timed.items()},
                "novelty_share": compare(timed["novelty"], timed["invoke"])["ratio"],
                "pipeline": rates.record(),
                "temperature_c": {"before": before, "after": board.hottest_c(machine)},
                "throttled": board.throttled(machine)[0],
            },
        }
        if self.figure is not None:
            from edge.diagnostics.bench_figure import draw

            draw(record, self.figure)
        return Outcome(DONE, record, table(record))


def bench_request(
    *,
    bundle: str,
    threads: str,
    runtime: str,
    frames: str,
    mediapipe: str,
    figure: str,
    config: str,
    json: object,
    allow_unsigned: object = False,
    edgetpu: str = "",
) -> BenchRequest:
    """The request that the words of a command line make; options come before the profile.

    Raises:
        UsageError: words that make no request, or that need a package that is not here.
        SettingsError: a profile that cannot be read.
    """
    from edge.diagnostics.storage import existing
    from edge.record.location import default_store
    from edge.settings.profile import load
    from edge.system.files import require_file

    settings = load(Path(config) if config else None)
    model = settings.model.with_words(bundle=bundle, runtime=runtime, threads=threads, edgetpu=edgetpu)
    if figure:
        _require_package("matplotlib", "--figure", "pip install 'leukoscope[models]', or draw it elsewhere")
        require_file(Path(figure), "--figure")
    if mediapipe:
        _require_package("mediapipe", "--mediapipe", "pip install mediapipe")
    return BenchRequest(
        bundle=model.bundle,
        threads=model.threads,
        runtime=model.runtime,
        frames=whole_number(frames, "--frames", at_least=FEWEST_FRAMES),
        folder=existing((settings.record.folder or default_store()).absolute()),
        mediapipe=Path(mediapipe) if mediapipe else None,
        figure=Path(figure) if figure else None,
        json=switch(json, "--json"),
        keys=settings.trust.keys,
        allow_unsigned=switch(allow_unsigned, "--allow-unsigned"),
        edgetpu=model.edgetpu,
        fallback=model.fallback,
    )


def _against_mediapipe(times: Times) -> dict[str, dict[str, float]]:
    pairs = ((f"frame_{size}", f"mediapipe_{size}") for size in ("224", "1280x960"))
    return {ours: compare(times[ours], times[theirs]) for ours, theirs in pairs if theirs in times}


def _about(served: Served, machine: Machine) -> dict[str, Any]:
    interpreter = served.classifier.interpreter
    return {
        "digest": served.bundle.digest,
        "bundle_version": served.bundle.provenance.version,
        "signed_by": served.bundle.provenance.signed_by,
        "runtime_version": interpreter.version,
        "kind": interpreter.kind,
        "instead": served.instead or None,
        "board": machine.text("proc/device-tree/model") or _processor(machine) or machine.architecture,
        "opencv": cv2.__version__,
        "numpy": np.__version__,
        "frames_from": "a drawn field; speed does not depend on what a frame shows",
    }


def _processor(machine: Machine) -> str:
    lines = (machine.text("proc/cpuinfo") or "").splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")


def _require_package(package: str, option: str, cure: str) -> None:
    import importlib.util

    if importlib.util.find_spec(package) is None:
        raise UsageError(f"{option} needs {package}, which is not installed: {cure}")
