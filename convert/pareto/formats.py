"""One float network in each of four number formats, as TFLite files.

| format | weights | activations | ends | where it is fast |
|---|---|---|---|---|
| int8 | int8 | int8 | int8 | XNNPACK, Edge TPU: `convert.quantization.quantize`, the format that ships |
| int16x8 | int8 | int16 | float32 | nowhere here: no delegate has it, the interpreter's own kernels run |
| float16 | float16 | float32 | float32 | XNNPACK, as float32: half the file, weights widened when it is loaded |
| float32 | float32 | float32 | float32 | XNNPACK |
"""

from convert.errors import ParetoError
from convert.quantization.float_model import FloatModel
from convert.quantization.postcheck import verify
from convert.quantization.quantize import converted as quantize_to
from convert.quantization.quantize import float_tflite, quantize
from convert.tflite.metadata import with_metadata
from edge.inference.contract import InputContract, Pixels

FORMATS = ("int8", "int16x8", "float16", "float32")


def converted(model: FloatModel, contract: InputContract, calibration: Pixels, form: str) -> bytes:
    """The network in one format.

    Args:
        model: the float classifier. contract: what it is fed.
        calibration: uint8 (N, height, width, 3) RGB, prepared; int8 and int16x8 take their ranges from it.
        form: one of `FORMATS`.

    Raises:
        ParetoError: no such format.
        QuantizationError: the converter refused it. VerificationError: an int8 file that is not full-int8.
    """
    if form == "int8":
        int8 = with_metadata(quantize(model, contract, calibration), contract, "int8", model.name)
        verify(int8, contract, "int8")
        return int8
    if form == "float32":
        return float_tflite(model)
    if form not in FORMATS:
        raise ParetoError(f"format must be one of {', '.join(FORMATS)}; got {form!r}")
    calibration_of = (contract, calibration) if form == "int16x8" else None
    return quantize_to(model, "int16x8" if form == "int16x8" else "float16", calibration_of)
