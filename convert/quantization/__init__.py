"""Quantization: float models in, int8 TFLite files out, and checks of both ends."""

__all__ = [
    "contract_evidence",
    "contract_inference",
    "findings",
    "float_model",
    "layer_names",
    "postcheck",
    "predictions",
    "preprocessing_check",
    "quantize",
    "speed",
    "weights_check",
]
