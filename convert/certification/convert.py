"""From a float network to an int8 file that has been verified and compared with it: plainly, or by a search."""

import logging
from dataclasses import dataclass, replace

from convert.calibration.evaluation_data import Evidence, Source
from convert.parity.comparison import Parity, benign_label, compare
from convert.parity.policy import Policy
from convert.parity.stopwatch import Stopwatch
from convert.parity.verdict import Judgement, judge
from convert.quantization.findings import Finding
from convert.quantization.float_model import FloatModel
from convert.quantization.postcheck import verify
from convert.quantization.predictions import Floats, device_probabilities, float_probabilities
from convert.quantization.preprocessing_check import check_feeding
from convert.quantization.quantize import Io, quantize
from convert.recovery.recover import confirmed, recover
from convert.recovery.search_log import SearchLog
from convert.tflite.metadata import with_metadata
from edge.inference.classifier import Classifier
from edge.inference.contract import InputContract
from edge.inference.interpreters import open_interpreter
from models.support.progress import Progress

_log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Compared:
    """Both models' probabilities, float32 (N, classes), and what follows from them."""

    before: Floats
    after: Floats
    parity: Parity
    judgement: Judgement


@dataclass(frozen=True, eq=False)
class Converted:
    """An int8 file, looked at and compared.

    Attributes:
        evidence: images that calibrated and judged it.
        log: of the search that found it; None without one.
    """

    int8: bytes
    findings: tuple[Finding, ...]
    compared: Compared
    evidence: Evidence
    log: SearchLog | None = None


@dataclass(frozen=True, eq=False)
class Conversion:
    """What is to be converted, and what judges it.

    Attributes:
        before: the float network's probabilities on the evidence, float32 (N, classes).
    """

    model: FloatModel
    contract: InputContract
    evidence: Evidence
    before: Floats
    policy: Policy
    io: Io
    watch: Stopwatch

    def plain(self) -> Converted:
        """Plain post-training quantization."""
        pixels = self.evidence.calibration.pixels
        _log.info(f"  converting, calibrated on {len(pixels)} images")
        with self.watch("convert"), Progress("calibrating", len(pixels)) as bar:
            int8 = quantize(self.model, self.contract, pixels, self.io, lambda done, of: bar.advance())
        return self._finished(int8, self.evidence)

    def searched(self, images: Source | None) -> Converted:
        """What a search over `images` found, where the test part does not speak against it; else the plain file."""
        count = len(self.evidence.calibration.names)
        _log.info(f"  searching from a calibration on {count} images; Ctrl-C keeps the best so far")
        with self.watch("search"):
            found = recover(self.model, self.contract, images, self.evidence, self.policy, self.io)
        chosen = self._finished(found.model, replace(self.evidence, calibration=found.calibration))
        if found.is_plain:
            _log.info("  the search found nothing better than the plain file")
            return replace(chosen, log=found.log)
        plain = self._finished(found.plain, self.evidence)
        log = confirmed(found.log, plain.compared.parity, chosen.compared.parity)
        if log.test and log.test.confirmed:
            return replace(chosen, log=log)
        _log.info(
            "  on the test part the plain file decides more like float than the one chosen: the plain one is kept"
        )
        return replace(plain, log=log)

    def _finished(self, converted: bytes, evidence: Evidence) -> Converted:
        """Metadata, verification, comparison."""
        with self.watch("verify"):
            int8 = with_metadata(converted, self.contract, self.io, self.model.name)
            findings = verify(int8, self.contract, self.io)
        _log.info(f"  comparing on {len(evidence.pixels)} images")
        with self.watch("compare"):
            compared = compare_files(self.before, int8, self.contract, evidence, self.policy)
        return Converted(int8, findings, compared, evidence)


def float_side(model: FloatModel, contract: InputContract, evidence: Evidence) -> Floats:
    """The float model's probabilities; a contract that it was not trained with is refused where labels show it."""
    before = float_probabilities(model, contract, evidence.pixels)
    if evidence.truth is not None:
        check_feeding(model, contract, evidence.pixels, evidence.truth, before)
    return before


def compare_files(before: Floats, int8: bytes, contract: InputContract, evidence: Evidence, policy: Policy) -> Compared:
    """An int8 file on the device's own path against the float model's probabilities, judged by the policy."""
    interpreter = open_interpreter(int8)
    after = device_probabilities(Classifier(contract, interpreter), evidence.pixels)
    parity = compare(
        contract.labels,
        before,
        after,
        evidence.truth,
        benign=benign_label(contract.labels),
        names=evidence.names,
        kind=interpreter.kind,
        decided_margin=policy.decided_margin,
    )
    return Compared(before, after, parity, judge(parity, policy))
