"""The result of a compilation: the compiled file in its bundle, certified, or beside the file it was made from."""

import hashlib
import json
import logging
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from convert.edgetpu.compiler import Compilation
from edge.bundle import bundle as bundles
from edge.bundle.bundle import Bundle
from edge.bundle.files import COMPILED
from edge.bundle.golden import Golden
from edge.errors import BundleError
from edge.inference.runtime.arithmetic import EDGETPU
from edge.settings.trusted_keys import machine_keys
from edge.system.files import write_whole

_log = logging.getLogger(__name__)

NOT_MEASURED = "no outputs of an Edge TPU are certified: none was measured"


def add_to_bundle(path: Path, made: Compilation, out: Path | None, measure: str | None = None) -> list[Path]:
    """Put a compiled model into its bundle, or into a copy of it.

    Args:
        path: the bundle's folder. made: with a model. out: folder for the copy, of the same name; None changes `path`.
        measure: an Edge TPU whose outputs are certified too; None leaves that.

    Returns:
        The bundle's folder. A signature is of the old manifest and does not survive; that is said.

    Raises:
        BundleError: no bundle, or its model is not what was compiled. OSError: it cannot be written.
        EdgeTpuUnavailable, GoldenMismatchError: as `convert.edgetpu.golden.with_edgetpu_outputs`; nothing is written.
    """
    bundle = bundles.load(path, trust=machine_keys(), allow_uncertified=True, allow_unsigned=True)
    entry = certificate_entry(made, bundle)
    golden = without_edgetpu(bundle.golden)  # outputs of another compiled model
    target = path if out is None else out / path.resolve().name
    parts = bundles.parts_of(bundle)
    assert made.model is not None
    if measure is not None:
        from convert.edgetpu.golden import with_edgetpu_outputs

        golden, entry["golden"] = with_edgetpu_outputs(bundle, made.model, measure)
        entry["note"] = "outputs of an Edge TPU are certified on the golden images alone; its parity was not measured"
    certificate = {**bundle.certificate, "edgetpu": entry}
    extra_files = {**parts["extra_files"], COMPILED: made.model}
    bundles.write(target, **{**parts, "certificate": certificate, "golden": golden, "extra_files": extra_files})
    if bundle.signature is not None:
        _log.info(f"{target}: the signature was of the old manifest and is gone; sign it again (convert sign)")
    _log.info(f"{target}: {entry['note']}")
    return [target]


def without_edgetpu(golden: Golden) -> Golden:
    """The golden images with the outputs of the CPU's kinds alone."""
    others = {kind: outputs for kind, outputs in golden.others.items() if kind != EDGETPU}
    return Golden(golden.inputs, golden.outputs, others)


def write_beside(path: Path, made: Compilation, out: Path | None) -> list[Path]:
    """Write NAME_edgetpu.tflite and NAME_edgetpu.json, beside the plain file or in `out`."""
    assert made.model is not None
    folder = path.parent if out is None else out
    model, record = folder / f"{path.stem}_edgetpu.tflite", folder / f"{path.stem}_edgetpu.json"
    write_whole(model, made.model)
    text = json.dumps(made.to_record(), indent=2, sort_keys=True, allow_nan=False)
    write_whole(record, text + "\n")
    return [model, record]


def certificate_entry(made: Compilation, bundle: Bundle) -> dict[str, Any]:
    """What the certificate says of the compiled model.

    Raises:
        BundleError: the compiled model is not of the bundle's.
    """
    assert made.model is not None
    plain = hashlib.sha256(bundle.model).hexdigest()
    if made.predicted.seen.sha256 != plain:
        raise BundleError(f"{bundle.path}: what was compiled is not the model in this bundle")
    return {
        "sha256": hashlib.sha256(made.model).hexdigest(),
        "bytes": len(made.model),
        "plain_sha256": plain,
        "compiler": made.log.version or None,
        "created": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "verdict": made.verdict,
        "operators": [{"operator": r.operator, "count": r.count, "status": r.status} for r in made.log.rows],
        "disagreements": list(made.disagreements),
        "packages": [p.to_record() for p in made.compiled.packages] if made.compiled else [],
        "golden": None,
        "note": NOT_MEASURED,
    }
