"""The search for the int8 file that decides most like the float network, from plain quantization on.

Measures are tried in the order of what they cost, each on top of the best so far (a greedy search): equalization and
bias correction, ranges, other calibration sets, and, where that is not enough, the fine-tune. Each file is compared
with the float network on the search images. The plain file is the first trial, and another one takes its place only by
a better score.
"""

import hashlib
import logging
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from convert.calibration.calibration_set import Calibration
from convert.errors import CalibrationError, DiagnoseError, FineTuneError, QuantizationError, RecoveryError
from convert.parity.comparison import Parity, compare
from convert.parity.policy import Policy
from convert.parity.verdict import judge
from convert.quantization.predictions import Floats
from convert.quantization.quantize import Io, quantized
from convert.recovery.activation_statistics import Statistics, collect, runs
from convert.recovery.bias_correction import correct_biases
from convert.recovery.equalization import equalize, groups
from convert.recovery.fine_tune import FineTuneSettings, fine_tune
from convert.recovery.images import SearchImages
from convert.recovery.range_estimators import Clipping, set_ranges
from convert.recovery.trials import Measures, Score, Trial
from convert.tflite.float_file import FloatFile
from edge.inference.classifier import Classifier
from edge.inference.contract import FLOAT32, InputContract, Pixels
from edge.inference.runtime.interpreters import open_interpreter
from edge.inference.tiles import tiles_of
from edge.system.progress import Progress

_log = logging.getLogger(__name__)

RANGES = (Clipping("average"), Clipping("percentile", 1e-4), Clipping("percentile", 1e-3), Clipping("mse"))
FINE_TUNE = FineTuneSettings()


class SearchStopped(Exception):  # noqa: N818  (not an error: what unwinds a trial that is not finished)
    """The search was told to end in the middle of a trial; no signal may unwind through the converter."""


@dataclass(frozen=True, eq=False)
class Best:
    """The best file so far: `model` int8, and `source` the float file that the quantizer made it from."""

    trial: Trial
    model: bytes
    source: bytes


@dataclass(eq=False)
class Search:
    """One search.

    Attributes:
        plain: the calibrated float file (`convert.quantization.quantize.calibrated`), from the first of `calibrations`.
        contract: how pixels become inputs. io: number format of the int8 files' ends.
        calibrations: name to what makes the set; the first is the one asked for.
        images: what trials are judged on. before: the float network's probabilities for them, (N, classes).
        training: pixels to fine-tune on; None where there are no images.
        should_stop: True once the search is to end.
        trials: every finished one, in order. interrupted: ended by `should_stop`.
        notes: what else happened, one sentence each.
    """

    plain: bytes
    contract: InputContract
    io: Io
    calibrations: Mapping[str, Callable[[], Calibration]]
    images: SearchImages
    before: Floats
    policy: Policy
    training: Callable[[], Pixels] | None
    should_stop: Callable[[], bool]
    fine_tune: FineTuneSettings = FINE_TUNE
    trials: list[Trial] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    interrupted: bool = False
    _best: Best | None = None
    _bases: dict[Measures, tuple[bytes, Statistics]] = field(default_factory=dict)
    _sets: dict[str, Calibration] = field(default_factory=dict)

    def run(self) -> Best:
        """Try everything; the best file.

        Raises:
            KeyboardInterrupt: asked to stop before the plain file was judged.
            LeukoscopeError: the plain file cannot be made.
        """
        try:
            for measures in self._cheap():
                self._try_if_possible(measures)
            if not self.best.trial.enough:
                self._fine_tune()
        except SearchStopped:
            if self._best is None:
                raise KeyboardInterrupt from None
            self.interrupted = True
        return self.best

    @property
    def best(self) -> Best:
        """So far; the plain file at the beginning."""
        assert self._best is not None
        return self._best

    def _cheap(self) -> Iterator[Measures]:
        """Post-training measures; each step begins with the best of those before."""
        plain = Measures(next(iter(self.calibrations)))
        yield plain
        yield replace(plain, corrected=True)
        yield replace(plain, equalized=True)
        yield replace(plain, equalized=True, corrected=True)
        if any(group.bounded and not group.why_not for group in groups(FloatFile(self.plain))):
            yield replace(plain, equalized=True, bounded=True, corrected=True)
        best = self.best.trial.measures
        yield from (replace(best, clipping=clipping) for clipping in RANGES)
        best = self.best.trial.measures
        for name in self.calibrations:
            if name != best.calibration and self._usable(name):
                yield replace(best, calibration=name)

    def _usable(self, name: str) -> bool:
        """False for a set that the lint refuses, or for one that cannot be chosen."""
        try:
            self._heed()
            self.calibration(name)
        except CalibrationError as error:
            self.notes.append(f"calibration set {name} was not tried: {error}")
            return False
        return True

    def _source(self, measures: Measures) -> bytes:
        """The float file with all but the fine-tune done to it."""
        if measures == Measures(next(iter(self.calibrations))):
            return self.plain
        base, statistics = self._base(measures)
        file = FloatFile(base)
        set_ranges(file, statistics, measures.clipping)
        if measures.corrected:
            correct_biases(file, statistics)
        return file.pack()

    def _base(self, measures: Measures) -> tuple[bytes, Statistics]:
        """A float file, equalized or not, and what its activations are on the calibration set."""
        key = Measures(measures.calibration, measures.equalized, measures.bounded)
        if key not in self._bases:
            model = self.plain
            if key.equalized:
                file = FloatFile(self.plain)
                first = Measures(next(iter(self.calibrations)))
                equalize(file, self._base(first)[1], key.bounded)
                model = file.pack()
            self._bases[key] = (model, self._collect(model, self.calibration(key.calibration).pixels))
        return self._bases[key]

    def calibration(self, name: str) -> Calibration:
        """A calibration set, made once."""
        if name not in self._sets:
            self._sets[name] = self.calibrations[name]()
        return self._sets[name]

    def _collect(self, model: bytes, pixels: Pixels) -> Statistics:
        encode, views = self.contract.encoder(FLOAT32), tiles_of(self.contract, pixels)

        def image(number: int) -> Floats:
            self._heed()
            return np.asarray(encode(views[number]), np.float32)

        with Progress("activations", runs(len(views))) as bar:
            return collect(model, image, len(views), progress=bar.advance)

    def _try_if_possible(self, measures: Measures) -> None:
        """A measure that a network does not allow costs that trial; only the plain file has to be possible."""
        try:
            self._try(measures, self._source(measures))
        except (RecoveryError, DiagnoseError, QuantizationError) as error:
            if self._best is None:
                raise
            self.notes.append(f"not tried: {measures}: {error}")
            _log.info(f"  {self.notes[-1]}")

    def _try(self, measures: Measures, source: bytes) -> None:
        """Quantize, compare, keep the better one."""
        began = time.perf_counter()
        self._heed()
        model = quantized(source, self.io)
        parity = self._compare(model)
        trial = Trial(
            measures,
            parity,
            judge(parity, self.policy),
            Score.of(parity),
            time.perf_counter() - began,
            hashlib.sha256(model).hexdigest(),
        )
        self.trials.append(trial)
        better = self._best is None or trial.score.better_than(self._best.trial.score)
        if better:
            self._best = Best(trial, model, source)
        _log.info(f"  search {len(self.trials)}: {trial.to_text()}{' <- best so far' if better else ''}")

    def _compare(self, model: bytes) -> Parity:
        interpreter = open_interpreter(model)
        classifier = Classifier(self.contract, interpreter)
        after = []
        for pixels in self.images.pixels:
            self._heed()
            after.append(classifier.probabilities(pixels))
        return compare(
            self.contract.labels,
            self.before,
            after,
            self.images.truth,
            benign=self.contract.benign_labels,
            names=self.images.names,
            kind=interpreter.kind,
            decided_margin=self.policy.decided_margin,
        )

    def _fine_tune(self) -> None:
        """From the best file so far, with every checkpoint judged as another trial."""
        if self.training is None:
            self.notes.append("no fine-tune: it needs images")
            return
        start = self.best
        pixels = self.training()
        _log.info(
            f"  not enough yet: fine-tuning from trial {self.trials.index(start.trial) + 1} on {len(pixels)} images"
        )
        try:
            with Progress("fine-tune", self.fine_tune.steps) as bar:
                for candidate in fine_tune(
                    start.source,
                    start.model,
                    pixels,
                    self.contract,
                    self.fine_tune,
                    # the float network in the same scales: corrected biases would be wrong in float
                    teacher=self._base(start.trial.measures)[0],
                    progress=lambda done, of: bar.advance(),
                    should_stop=self.should_stop,
                ):
                    self._try(replace(start.trial.measures, steps=candidate.step), candidate.plain)
                    if self.best.trial.enough:
                        return
            self._heed()
        except FineTuneError as error:
            self.notes.append(f"no fine-tune: {error}")
            _log.info(f"  {self.notes[-1]}")

    def _heed(self) -> None:
        if self.should_stop():
            raise SearchStopped
