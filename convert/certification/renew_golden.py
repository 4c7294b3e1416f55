"""The renewal of an existing bundle's golden images, without converting it again.

Model, contract, calibration and report stay byte for byte; `golden.npz` and the certificate's `golden` are new, and so
are the manifest and the digest. A signature is of the old manifest: the bundle must be signed again.
"""

import logging
from pathlib import Path
from typing import Any

from convert.certification.golden import certified_golden
from convert.edgetpu.bundle import NOT_MEASURED
from edge.bundle import bundle as bundles
from edge.bundle.bundle import Bundle
from edge.errors import BundleError
from edge.inference.interpreters import open_interpreter
from edge.settings.trusted_keys import machine_keys

_log = logging.getLogger(__name__)


def renew(path: Path) -> dict[str, Any]:
    """Renew one bundle; the certificate's `golden`. A second time, with the same arithmetic, changes nothing."""
    bundle = _load(path)
    interpreter = open_interpreter(bundle.model)
    certified = bundles.certified_kind(bundle.certificate)
    if interpreter.kind != certified:
        raise BundleError(
            f"{path}: certified with {certified} arithmetic, and this machine computes {interpreter.kind}; "
            "renew it where it was made"
        )
    bundles.require_golden(bundle, interpreter)
    golden, record = certified_golden(bundle.model, bundle.contract)
    parts = bundles.parts_of(bundle)
    bundles.write(path, **{**parts, "certificate": _renewed(bundle, record), "golden": golden})
    if bundle.signature is not None:
        _log.info(f"{path}: its signature was of the old manifest and is gone; sign it again")
    return record


def _renewed(bundle: Bundle, record: dict[str, Any]) -> dict[str, Any]:
    """The certificate with the new golden images. An Edge TPU's answers were to the old ones and go with them."""
    certificate = {**bundle.certificate, "golden": record}
    compiled = certificate.get("edgetpu")
    if isinstance(compiled, dict) and compiled.get("golden") is not None:
        certificate["edgetpu"] = {**compiled, "golden": None, "note": NOT_MEASURED}
        _log.info(
            f"{bundle.path}: an Edge TPU's answers are gone with them; `convert compile --edgetpu --measure` asks anew"
        )
    return certificate


def _load(path: Path) -> Bundle:
    return bundles.load(path, trust=machine_keys(), allow_uncertified=True, allow_unsigned=True)
