"""The files of a bundle: their names, and the most bytes each may have."""

from edge.bundle.envelope import LARGEST_ENVELOPE_BYTES
from edge.bundle.golden import LARGEST_GOLDEN_BYTES
from edge.bundle.policy import MANIFEST, SIGNATURE

_KIB, _MIB = 2**10, 2**20

CERTIFICATE = "certificate.json"
REQUIRED = {  # name -> most bytes
    "model.tflite": 256 * _MIB,
    "contract.json": 256 * _KIB,
    "labels.txt": 256 * _KIB,
    "calibration.json": 16 * _MIB,
    CERTIFICATE: 16 * _MIB,
    "golden.npz": LARGEST_GOLDEN_BYTES + 64 * _KIB,
}
COMPILED = "model_edgetpu.tflite"
GATES = "gates.json"
REPORT = "report.html"
ADAPTATION = "adaptation.json"
ACCEPTANCE = "acceptance.json"
SEARCH_LOG = "search.json"
OPTIONAL = {
    GATES: 4 * _MIB,
    REPORT: 64 * _MIB,
    SEARCH_LOG: 4 * _MIB,
    COMPILED: 256 * _MIB,
    ADAPTATION: 16 * _MIB,
    ACCEPTANCE: 64 * _MIB,
}
UNLISTED = {MANIFEST: 64 * _KIB, SIGNATURE: LARGEST_ENVELOPE_BYTES}  # the manifest cannot list itself
FILE_LIMITS = {**REQUIRED, **OPTIONAL, **UNLISTED}
