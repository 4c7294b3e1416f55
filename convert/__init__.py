"""Keras to full-int8 TFLite, the proof that both decide alike, and the bundle that carries it."""
