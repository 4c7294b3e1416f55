"""The conversion of one model, step by step: from a float model to a certified bundle.

Nothing appears under the bundle's name before all of it is done; a run with nothing changed reuses what is there.
"""

import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec

from convert.calibration.evaluation_data import (
    ON_SYNTHETIC_FIELDS,
    ConversionImages,
    ImageFolder,
    Source,
    from_images,
    from_synthetic_fields,
    not_judging,
    nothing,
)
from convert.certification.certificate import certify
from convert.certification.conversion import convert_by_search, convert_plainly
from convert.certification.float_reference import FloatReference
from convert.certification.gates import choose_gates
from convert.certification.golden import certified_golden
from convert.certification.renewal import renew
from convert.certification.report import report
from convert.certification.request import request_digest
from convert.certification.settings import Settings
from convert.parity.stopwatch import Stopwatch
from convert.quantization.contract_evidence import InferredEntry, settle
from convert.quantization.contract_inference import Inferred, beside, infer_contract, loading_with
from convert.quantization.converter.process import shared_converter
from convert.quantization.float_model import AS_IT_IS, FloatModel, Loading, load_float, model_name
from convert.quantization.preprocessing_check import MOST_IMAGES
from convert.quantization.speed import measure_speed
from edge.bundle import bundle as bundles
from edge.bundle.files import ADAPTATION, SEARCH_LOG
from edge.errors import BundleError, GoldenMismatchError
from edge.inference.contract import InputContract
from edge.inference.gates.base import Gates
from edge.inference.gates.gates_file import GatesFile
from edge.settings.trusted_keys import machine_keys
from models.support.records import record_text

_log = logging.getLogger(__name__)


def quantize_model(
    path: Path,
    contract_file: Path | None,
    data: ImageFolder | None,
    settings: Settings,
    out: Path,
    loading: Loading = AS_IT_IS,
) -> dict[str, Any]:
    """Convert one model into `out/NAME-int8` and return its certificate.

    Args:
        path: of the float model.
        contract_file: its contract; found beside it or inferred when None.
        data: images that calibrate and judge; synthetic fields when None.
        loading: what the model's file leaves open.

    Raises:
        LeukoscopeError: the model, the images or the converted file are not what they must be; nothing is written.
        OSError: the folder cannot be written; nothing is left under the bundle's name that was not there before.
    """
    watch = Stopwatch()
    request = request_digest(path, contract_file, data, settings, loading)
    _log.info(f"{model_name(path)}: {path}")
    folder = out / f"{model_name(path)}-{settings.io}"
    reused = None if settings.force else _unchanged(folder, request)
    if reused is not None:
        _say(*([ON_SYNTHETIC_FIELDS] if data is None else []))
        _log.info(f"  nothing has changed since {folder} was written: reusing it")
        return reused
    _log.info("  loading the model, which takes some seconds the first time")
    shared_converter().start()  # it loads TensorFlow beside this process
    with watch("load"):
        model = load_float(path, loading_with(loading, path, contract_file))
        folders = () if data is None else data.class_folders()
        inferred = infer_contract(model, contract_file, settings.benign, folders=folders)
    with watch("images"):
        source = None if data is None else data.source(inferred.contract.labels)
        inferred, evidence = settled(model, inferred, source)
    contract = inferred.contract if settings.domain is None else replace(inferred.contract, domain=settings.domain)
    _say(*model.notes, *inferred.notes)
    with watch("images"):
        images = choose_images(model, contract, source, settings)
    _say(*images.notes)
    with watch("gates"):
        gates = choose_gates(path, contract, settings.gates, source)
    with watch("compare"):
        asked = Gates(()) if gates is None else GatesFile.from_bytes(gates).gates()
        reference = FloatReference.measure(model, contract, images, settings.policy, asked)
    if settings.search:
        converted = convert_by_search(reference, source, settings.io, watch)
    else:
        converted = convert_plainly(reference, settings.io, watch)
    with watch("latency"):
        speed = measure_speed(model, converted.int8, contract, images.pixels)
    with watch("golden"):
        golden, golden_record = certified_golden(converted.int8, contract)
    certificate = certify(
        reference,
        converted,
        speed,
        golden=golden_record,
        gates=gates,
        inferred=evidence,
        request=request,
        seconds=watch.seconds,
    )
    compared, log = converted.compared, converted.search
    probabilities = compared.float_probabilities, compared.int8_probabilities
    page = report(certificate, *probabilities, images, settings.images_in_report, log, gates)
    bundles.write(
        folder,
        model=converted.int8,
        contract=contract,
        calibration=msgspec.to_builtins(converted.calibration.record()),
        certificate=certificate.to_record(),
        golden=golden,
        gates=gates,
        extra_files={
            "report.html": page.encode(),
            **({} if log is None else {SEARCH_LOG: record_text(msgspec.to_builtins(log)).encode()}),
            **({} if (made_of := beside(path, ADAPTATION)) is None else {ADAPTATION: made_of.read_bytes()}),
        },
    )
    _log.info(f"  {certificate.verdict}: {folder}")
    return certificate.to_record()


def choose_images(
    model: FloatModel, contract: InputContract, source: Source | None, settings: Settings
) -> ConversionImages:
    """Images that calibrate and judge: of `source`, else synthetic fields."""
    if source is None:
        return from_synthetic_fields(contract)
    return from_images(
        source,
        model,
        contract,
        count=settings.calibration_count,
        seed=settings.seed,
        method=settings.method,
    )


def settled(model: FloatModel, inferred: Inferred, source: Source | None) -> tuple[Inferred, InferredEntry | None]:
    """The contract with what the labelled images of `source` say about it (`convert.quantization.contract_evidence`).

    Raises:
        TooFewImagesError: they speak for another one, and are too few to be sure.
        PreprocessingError: "label-order": they show the outputs in another order than the labels.
    """
    if inferred.given or source is None:
        return settle(model, inferred, *nothing(inferred.contract))
    return settle(model, inferred, *not_judging(source, inferred.contract, MOST_IMAGES))


def _unchanged(folder: Path, request: str) -> dict[str, Any] | None:
    """The certificate of the bundle at `folder` if it is whole and answers the same request; its golden images are
    renewed where they are of before they were certified for several kinds."""
    if not folder.is_dir():
        return None
    try:
        found = bundles.load(folder, trust=machine_keys(), allow_uncertified=True, allow_unsigned=True).certificate
        if found.get("request") != request:
            return None
        return found if "golden" in found else {**found, "golden": renew(folder)}
    except (BundleError, GoldenMismatchError) as error:
        _log.info(f"  {error}: converting again")
        return None


def _say(*notes: str) -> None:
    for note in notes:
        _log.info(f"  {note}")
