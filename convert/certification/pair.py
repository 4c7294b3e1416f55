"""Parity of a float model with an int8 file that exists: `convert parity`."""

import logging
from pathlib import Path
from typing import Any

import msgspec

from convert.calibration.calibration_set import Calibration, CalibrationRecord
from convert.calibration.evaluation_data import ImageFolder, from_synthetic_fields, only_judging
from convert.certification.certificate import certify
from convert.certification.conversion import Converted
from convert.certification.float_reference import FloatReference
from convert.certification.report import report
from convert.certification.report_text import first_line, parity_text
from convert.parity.policy import Policy
from convert.quantization.contract_inference import CONTRACT_FILE, beside, infer_contract, loading_with
from convert.quantization.float_model import AS_IT_IS, Loading, load_float
from convert.quantization.postcheck import check_labels
from convert.quantization.speed import measure_speed
from edge.bundle import bundle as bundles
from edge.errors import BundleError
from edge.inference.contract import InputContract
from edge.inference.gates.base import Gates
from edge.inference.tflite.model_file import read_model
from edge.settings.trusted_keys import machine_keys
from edge.system.files import write_whole

_log = logging.getLogger(__name__)


def judge_pair(
    model_path: Path,
    int8_path: Path,
    contract_file: Path | None,
    data: ImageFolder | None,
    policy: Policy,
    page: Path | None,
    loading: Loading = AS_IT_IS,
) -> tuple[dict[str, Any], str]:
    """Compare a float model with an int8 file or bundle; the record and a table for a terminal."""
    contract_file = contract_file or _contract_beside(model_path, int8_path)
    model = load_float(model_path, loading_with(loading, model_path, contract_file))
    folders = () if data is None else data.class_folders()
    contract = infer_contract(model, contract_file, folders=folders).contract
    int8, calibration, gates = _read_int8(int8_path, contract)
    check_labels(int8, contract)
    images = from_synthetic_fields(contract) if data is None else only_judging(data, contract, calibration)
    for note in images.notes:
        _log.info(note)
    reference = FloatReference.measure(model, contract, images, policy, gates)
    compared = reference.compare(int8)
    if page is not None:
        speed = measure_speed(model, int8, contract, images.pixels)
        certificate = certify(reference, Converted(int8, (), images.calibration, compared), speed)
        write_whole(page, report(certificate, compared.float_probabilities, compared.int8_probabilities, images))
    record = {
        **msgspec.to_builtins(compared.parity),
        **msgspec.to_builtins(compared.judgement),
        "summary": first_line(compared.judgement),
        "synthetic": images.synthetic,
    }
    return record, parity_text(compared.parity, compared.judgement)


def _contract_beside(model: Path, int8: Path) -> Path | None:
    """The bundle's own contract for a model that has none beside it."""
    inside = int8 / CONTRACT_FILE
    return inside if int8.is_dir() and inside.is_file() and beside(model, CONTRACT_FILE) is None else None


def _read_int8(path: Path, contract: InputContract) -> tuple[bytes, Calibration, Gates]:
    """The bytes of a TFLite file, or of the model in a bundle whose contract is `contract`; what calibrated it, and its
    gates, none where they are not known."""
    if not path.is_dir():
        return read_model(path), Calibration.recorded(None), Gates(())
    bundle = bundles.load(path, trust=machine_keys(), allow_uncertified=True, allow_unsigned=True)
    for name, wanted in vars(contract.undecided()).items():
        found = getattr(bundle.contract, name)
        if (
            name not in ("decision", "benign", "domain") and found != wanted
        ):  # outputs are compared before a decision is taken
            raise BundleError(f"the bundle's contract is not the model's: {name} {found}, not {wanted}")
    try:
        record = msgspec.convert(bundle.calibration, CalibrationRecord)
    except msgspec.ValidationError as error:
        raise BundleError(f"{path / 'calibration.json'} does not say what calibrated the model: {error}") from error
    gates = Gates(()) if bundle.gates is None else bundle.gates.gates()
    return bundle.model, Calibration.recorded(record), gates
