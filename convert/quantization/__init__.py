"""Quantization: float models in, int8 TFLite files out, and checks of both ends."""

__all__ = [
    "contract_evidence",
    "contract_inference",
    "findings",
    "float_model",
    "postcheck",
    "predictions",
    "preprocessing_check",
    "quantize",
    "speed",
    "weights_check",
]
