"""litert-quantizer weighed against TensorFlow's quantizer: the evidence of docs/decisions/0022-engine.md."""
