"""Quantization: float models in, int8 TFLite files out, and checks of both ends."""
