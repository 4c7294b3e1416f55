"""Conversion of a float network to an int8 file that is verified and compared: plainly, or by a search."""

import logging
from dataclasses import dataclass, replace

from convert.calibration.calibration_set import Calibration
from convert.calibration.evaluation_data import Source
from convert.certification.float_reference import Compared, FloatReference
from convert.parity.stopwatch import Stopwatch
from convert.quantization.findings import Finding
from convert.quantization.postcheck import verify
from convert.quantization.quantize import Io, quantize
from convert.quantization.weights_check import layer_names
from convert.recovery.recover import confirmed, recover
from convert.recovery.search_log import SearchLog
from convert.tflite.metadata import with_metadata
from edge.system.progress import Progress

_log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Converted:
    """An int8 file, verified and compared.

    Attributes:
        calibration: the set that it was calibrated on.
        search: the log of the search that found it; None without one.
    """

    int8: bytes
    findings: tuple[Finding, ...]
    calibration: Calibration
    compared: Compared
    search: SearchLog | None = None


def convert_plainly(reference: FloatReference, io: Io, watch: Stopwatch) -> Converted:
    """Plain post-training quantization."""
    calibration = reference.images.calibration
    count = len(calibration.pixels) * reference.contract.tile_count
    _log.info(f"  converting, calibrated on {_images(len(calibration.pixels), reference)}")
    with watch("convert"), Progress("calibrating", count) as bar:
        int8 = quantize(reference.model, reference.contract, calibration.pixels, io, lambda done, of: bar.advance())
    return _checked(int8, calibration, reference, io, watch)


def convert_by_search(reference: FloatReference, source: Source | None, io: Io, watch: Stopwatch) -> Converted:
    """What a search over `source` found, where the test part does not speak against it; else the plain file."""
    images = reference.images
    count = _images(len(images.calibration.names), reference)
    _log.info(f"  searching from a calibration on {count}; Ctrl-C keeps the best so far")
    with watch("search"):
        found = recover(reference.model, reference.contract, source, images, reference.policy, io)
    chosen = _checked(found.model, found.calibration, reference, io, watch)
    if found.is_plain:
        _log.info("  the search found nothing better than the plain file")
        return replace(chosen, search=found.log)
    plain = _checked(found.plain, images.calibration, reference, io, watch)
    log = confirmed(found.log, plain.compared.parity, chosen.compared.parity)
    if log.test and log.test.confirmed:
        return replace(chosen, search=log)
    _log.info("  on the test part the plain file decides more like float than the one chosen: the plain one is kept")
    return replace(plain, search=log)


def _images(count: int, reference: FloatReference) -> str:
    """`200 images`, or `200 images of 3x2 tiles`."""
    tiles = reference.contract.tiles
    return f"{count} images" + ("" if tiles is None else f" of {tiles[0]}x{tiles[1]} tiles")


def _checked(
    quantized: bytes, calibration: Calibration, reference: FloatReference, io: Io, watch: Stopwatch
) -> Converted:
    """The file with metadata, verified and compared."""
    with watch("verify"):
        int8 = with_metadata(quantized, reference.contract, io, reference.model.name)
        findings = verify(int8, reference.contract, io, layer_names(reference.model.network))
    _log.info(f"  comparing on {len(reference.images.pixels)} images")
    with watch("compare"):
        compared = reference.compare(int8)
    return Converted(int8, findings, calibration, compared)
