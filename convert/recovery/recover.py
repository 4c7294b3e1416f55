"""`convert quantize --int8 --search` for one network: search on the validation part, confirm on the test part."""

import logging
import resource
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from convert.calibration.calibration_set import Calibration
from convert.calibration.evaluation_data import ConversionImages, Source
from convert.parity.comparison import Parity
from convert.parity.policy import Policy
from convert.quantization.float_model import FloatModel
from convert.quantization.predictions import float_probabilities
from convert.quantization.quantize import Io, calibrated, quantize, quantized
from convert.recovery.images import calibrations, search_images, training_pixels
from convert.recovery.search import Best, Search
from convert.recovery.search_log import FORMAT, Confirmation, SearchLog, TestFigures, share
from convert.recovery.trials import Score
from edge.inference.contract import InputContract, Pixels
from edge.system.interrupts import stop_on
from edge.system.progress import Progress

_log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Recovered:
    """What a search found.

    Attributes:
        model: the int8 file it chose. plain: the one that plain post-training quantization gives.
        calibration: the set that `model` was calibrated on.
        log: of the search; what `search.json` holds once it is `confirmed`.
        is_plain: the search found nothing better than the plain file.
    """

    model: bytes
    plain: bytes
    calibration: Calibration
    log: SearchLog
    is_plain: bool


def recover(
    model: FloatModel,
    contract: InputContract,
    source: Source | None,
    evidence: ConversionImages,
    policy: Policy,
    io: Io,
) -> Recovered:
    """Search for the int8 file that decides most like the float network. Ctrl-C ends it with the best so far.

    Raises:
        TooFewImagesError: too few images in the validation part to choose by.
        LeukoscopeError: the network cannot be converted at all.
        KeyboardInterrupt: stopped before there was anything to keep, or twice.
    """
    began = time.perf_counter()
    images = search_images(source, contract, evidence)
    before = float_probabilities(model, contract, images.pixels)
    pixels = evidence.calibration.pixels
    with Progress("calibrating", len(pixels) * contract.tile_count) as bar:
        base = calibrated(model, contract, pixels, lambda done, of: bar.advance())
    with stop_on(signal.SIGINT, on_first=_say_stopping) as stop:
        search = Search(
            base,
            contract,
            io,
            calibrations(source, model, contract, evidence),
            images,
            before,
            policy,
            _training(source, contract, evidence.calibration.seed),
            stop.is_set,
        )
        best = search.run()
    is_plain = best.trial is search.trials[0]
    return Recovered(
        quantize(model, contract, pixels, io) if is_plain else best.model,  # byte for byte that of no search
        quantized(base, io),
        search.calibration(best.trial.measures.calibration),
        _search_log(search, best, time.perf_counter() - began),
        is_plain,
    )


def _say_stopping() -> None:
    _log.info("  stopping: the best file so far is kept and judged; Ctrl-C again to give up")


def confirmed(log: SearchLog, plain: Parity, chosen: Parity) -> SearchLog:
    """The log with what the test part says. The choice stands unless the plain file loses or changes fewer of these
    images, which had no part in choosing."""
    ours, theirs = Score.of(chosen), Score.of(plain)
    stands = (ours.harm, ours.changed) <= (theirs.harm, theirs.changed)
    return msgspec.structs.replace(log, test=Confirmation(TestFigures.of(plain), TestFigures.of(chosen), stands))


def _training(source: Source | None, contract: InputContract, seed: int) -> Callable[[], Pixels] | None:
    if source is None:
        return None
    return lambda: training_pixels(source, contract, seed)


def _search_log(search: Search, best: Best, seconds: float) -> SearchLog:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 if sys.platform == "darwin" else 1024)
    return SearchLog(
        format=FORMAT,
        chosen=best.trial.measures.to_record(),
        chosen_trial=search.trials.index(best.trial) + 1,
        interrupted=search.interrupted,
        images=search.images.to_record(),
        accuracy_float=share(search.trials[0].parity.accuracy_float),
        trials=[trial.to_record() for trial in search.trials],
        notes=list(search.notes),
        seconds=round(seconds, 1),
        peak_rss_mb=round(peak),
    )
