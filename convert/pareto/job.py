"""The comparison: missing variants trained, every point converted and judged, all of them timed in turns.

Interrupted, it keeps what is finished: trained epochs and measured points lie in the folder, and those points are timed
and shown.
"""

import logging
import os
import resource
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from convert.calibration.evaluation_data import Source
from convert.errors import ParetoError, TooFewImagesError
from convert.pareto.fine_tune import trained_file, training_of, training_plan
from convert.pareto.front import front
from convert.pareto.grid import VARIED, Variant
from convert.pareto.measurement import CALIBRATION_IMAGES, candidate, measured
from convert.pareto.memory_probe import peak_of
from convert.pareto.record import FORMAT, Comparison, JudgedPoint, Latency, Network, Point, Reference, TimedPoint
from convert.pareto.timing import FEWER_ROUNDS, ROUNDS, against, board, timed_in_turns
from convert.parity.stopwatch import Stopwatch
from convert.quantization.contract_inference import infer_contract
from convert.quantization.float_model import FloatModel, load_float
from edge.bundle import bundle as bundles
from edge.diagnostics.benchmark.timing import raw_interpreter
from edge.inference.contract import InputContract
from edge.inference.runtime.interpreters import Interpreter, open_interpreter
from edge.settings.trusted_keys import machine_keys
from models.data.published import bundles as shipped_bundles
from models.data.published import trained
from models.data.split import SplitError
from models.support.versions import versions

_log = logging.getLogger(__name__)

LEAST_IMAGES = 20  # of the test part: with fewer, one image weighs more than formats ever differ by
REFERENCE = f"{VARIED}-int8"
POINTS, VARIANTS = "points", "variants"


@dataclass(frozen=True)
class Settings:
    """What is compared; see `convert pareto --help`."""

    variants: tuple[Variant, ...]
    formats: tuple[str, ...]
    data: Path
    split: Path | None
    epochs: int
    out: Path

    @property
    def wanted(self) -> int:
        """How many points there are to be."""
        return len(self.variants) * len(self.formats)


def compare_variants(settings: Settings) -> Comparison:
    """Measure every point.

    Returns:
        What `pareto.json` holds; `interrupted` tells whether all of it was done.

    Raises:
        LeukoscopeError: networks or images that are not what they must be.
        TooFewImagesError: fewer than `LEAST_IMAGES` test images, or none of a class.
        KeyboardInterrupt: interrupted before the first point was done; finished epochs are kept.
    """
    watch = Stopwatch()
    with watch("load"):
        given = {v.name: load_float(v.path) for v in settings.variants if v.path is not None}
        labels = common_labels(given)
    with watch("images"):
        _log.info(f"scanning {settings.data}")
        source = Source.open(settings.data, labels, settings.split)
        require_enough(source, labels)
    points, networks, interrupted = _points(settings, given, source, watch)
    done = [point for point in points if isinstance(point, JudgedPoint)]
    _log.info(f"timing {len(done)} points in turns")
    with watch("latency"):
        rounds = FEWER_ROUNDS if interrupted else ROUNDS
        timing = timed(done, settings.out / POINTS, rounds)
    with watch("memory"):
        peaks = {point.file: peak_of(settings.out / POINTS / point.file) for point in done}
    on_front = front([(point.accuracy, timing.latency[point.file].median_ms) for point in done])
    whole = {
        point.file: TimedPoint(
            **msgspec.structs.asdict(point),
            latency=timing.latency[point.file],
            peak_rss_mb=peaks[point.file],
            front=on_it,
        )
        for point, on_it in zip(done, on_front, strict=True)
    }
    return Comparison(
        format=FORMAT,
        interrupted=interrupted or timing.rounds < rounds,
        wanted=settings.wanted,
        labels=list(labels),
        images=done[0].images if done else 0,
        origin=source.origin,
        calibration_images=CALIBRATION_IMAGES,
        networks=networks,
        points=[whole.get(point.file, point) for point in points],
        reference=timing.reference,
        runtime=timing.engine.runtime,
        runtime_version=timing.engine.version,
        threads=timing.engine.threads,
        rounds=timing.rounds,
        board=board(),
        load_before=round(timing.load, 2),
        cpu_seconds=round(time.process_time(), 1),
        seconds={phase: round(spent, 1) for phase, spent in watch.seconds.items()},
        peak_rss_mb=round(_peak_mb()),
        versions=versions(),
    )


def common_labels(given: dict[str, FloatModel]) -> tuple[str, ...]:
    """The labels of all networks, those of the shipped one where all are to be trained.

    Raises:
        ParetoError: two networks name their classes differently, or the contract of one has tiles.
    """
    contracts = {name: infer_contract(model).contract for name, model in given.items()}
    for name, contract in contracts.items():
        if contract.tiles is not None:
            raise ParetoError(f"networks must see a whole field; the contract of {name} has tiles {contract.tiles}")
    every = {name: contract.labels for name, contract in contracts.items()}
    if not every:
        return _shipped_contract().labels
    first = next(iter(every))
    for name, labels in every.items():
        if labels != every[first]:
            raise ParetoError(
                f"networks must have the same labels in the same order to be judged on the same images; {first} has"
                f" {', '.join(every[first])}, {name} has {', '.join(labels)}"
            )
    return every[first]


def require_enough(source: Source, labels: Sequence[str]) -> None:
    """Raise TooFewImagesError where the test part could not tell two points apart."""
    try:
        samples = source.split.samples(source.image_set, "test")
    except SplitError:
        samples = ()
    missing = [label for label in labels if all(sample.label != label for sample in samples)]
    if len(samples) < LEAST_IMAGES or missing:
        said = f"; no {', '.join(missing)}" if missing and samples else ""
        raise TooFewImagesError(
            f"at least {LEAST_IMAGES} images in the test part, some of every class, are needed to compare networks;"
            f" {source.root} has {len(samples)} ({source.origin}){said}"
        )


@dataclass(frozen=True, eq=False)
class Timing:
    """All points timed: `latency` by file, the reference and its engine, whole rounds, the load before them."""

    latency: Mapping[str, Latency]
    reference: Reference
    engine: Interpreter
    rounds: int
    load: float


def timed(points: Sequence[JudgedPoint], folder: Path, rounds: int) -> Timing:
    """Time all points beside the shipped int8 network."""
    reference = bundles.load(shipped_bundles() / REFERENCE, trust=machine_keys(), allow_unsigned=True)
    engines = {point.file: open_interpreter(folder / point.file) for point in points}
    engines[REFERENCE] = open_interpreter(reference.model)
    load = os.getloadavg()[0]
    rng = np.random.default_rng(0)
    for engine in engines.values():
        engine.invoke(_noise(engine, rng))  # set once; what an input shows makes no difference to its time
    times = timed_in_turns({name: raw_interpreter(engine).invoke for name, engine in engines.items()}, rounds)
    found = against(times, REFERENCE)
    engine, own = engines[REFERENCE], found[REFERENCE]
    sha256 = reference.certificate["int8_model"]["sha256"]
    timed_beside = Reference(REFERENCE, sha256, engine.kind, own.median_ms, own.min_ms, own.wall_ms)
    return Timing(found, timed_beside, engine, len(times[REFERENCE]), load)


def _points(
    settings: Settings, given: dict[str, FloatModel], source: Source, watch: Stopwatch
) -> tuple[list[Point], list[Network], bool]:
    """(points, networks, whether it was interrupted); KeyboardInterrupt passes where there is no point yet."""
    points: list[Point] = []
    networks: list[Network] = []
    try:
        for variant in settings.variants:
            _log.info(variant.name)
            model = given[variant.name] if variant.name in given else _trained(settings, variant, source, watch)
            with watch("judge float"):
                who = candidate(variant.name, model, source, known=variant.path is None)
            trained_here = training_of(model.path.parent)
            networks.append(Network(variant.name, model.sha256, list(model.size), trained_here))
            for form in settings.formats:
                with watch("convert and judge"):
                    points.append(measured(who, form, settings.out / POINTS))
                _log.info(f"  {form}: {_said(points[-1])}")
    except KeyboardInterrupt:
        if not points:
            _log.info("interrupted: what was trained so far is kept, and the same command continues")
            raise
        _log.info(f"interrupted: {len(points)} of {settings.wanted} points are done; the same command continues")
        return points, networks, True
    return points, networks, False


def _trained(settings: Settings, variant: Variant, source: Source, watch: Stopwatch) -> FloatModel:
    """A variant of the shipped network, trained now or before."""
    folder = settings.out / VARIANTS
    if variant.backbone is not None:
        start = variant.backbone
    elif variant.start == VARIED:
        start = trained(VARIED) / "model.keras"
    else:
        start = folder / str(variant.start) / "model.keras"
    with watch("train"):
        file = trained_file(
            training_plan(variant, start, _shipped_contract(), settings.epochs), source, folder / variant.name
        )
    return load_float(file)


def _shipped_contract() -> InputContract:
    return InputContract.load(trained(VARIED) / "contract.json")


def _said(point: Point) -> str:
    if not isinstance(point, JudgedPoint):
        return str(point.problem)
    return f"{100 * point.accuracy:.2f} % of {point.images} images, {point.bytes / 1e6:.2f} MB"


def _noise(engine: Interpreter, rng: np.random.Generator) -> Any:
    dtype = np.dtype(engine.input.quantization.dtype)
    if dtype == np.float32:
        return rng.uniform(-1, 1, engine.input.shape).astype(np.float32)
    limits = np.iinfo(dtype)
    return rng.integers(limits.min, limits.max + 1, engine.input.shape).astype(dtype)


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 1024)
