"""Names of TFLite runtimes and kinds of arithmetic."""

RUNTIMES = ("litert", "tflite_runtime", "tf_lite")  # in order of preference (DESIGN, decision 7)


MOST_THREADS = 64


KIND_EDGETPU = "T"  # arithmetic of an Edge TPU; which outputs are its own is not measured yet
