"""Names of the TFLite runtimes."""

RUNTIMES = ("litert", "tflite_runtime", "tf_lite")  # in order of preference (DESIGN, decision 7)
MOST_THREADS = 64
