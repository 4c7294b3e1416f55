"""Kinds of arithmetic: interpreters of one kind give int8 outputs that are equal to the bit.

Measured on LiteRT 2.3, tf.lite 2.21 and tflite-runtime 2.14. Layers of two kinds differ by at most 1 LSB; what that
makes of the output depends on the network (`edge.bundle.golden.judge`).
"""

XNNPACK = "xnnpack"  # LiteRT and tf.lite with XNNPACK, on x86-64 and aarch64
BUILTIN = "builtin"  # LiteRT and tf.lite without delegate, and tflite-runtime, on x86-64
BUILTIN_ARM = "builtin-arm"  # LiteRT without delegate on aarch64
REFERENCE = "reference"  # the reference kernels, and tflite-runtime on aarch64
EDGETPU = "edgetpu"  # an Edge TPU; which outputs are its own is not measured yet
UNKNOWN = "?"  # float models, other machines
KINDS = (XNNPACK, BUILTIN, BUILTIN_ARM, REFERENCE, EDGETPU)

# Bundles, certificates and records of before 2026-12 name them by letters.
_LETTERS = {"A": XNNPACK, "B": BUILTIN, "C": REFERENCE, "D": BUILTIN_ARM, "T": EDGETPU}


def named(kind: str) -> str:
    """The name of a kind that a file may call by its old letter.

    >>> named("A"), named("xnnpack")
    ('xnnpack', 'xnnpack')
    """
    return _LETTERS.get(kind, kind)


def kind_of(runtime: str, machine: str, dtype: str, xnnpack: bool, reference: bool = False) -> str:
    """The kind of arithmetic of an interpreter.

    Args:
        machine: `platform.machine()`.
        dtype: of the model's output; the kinds say nothing of float models.
    """
    cpu = {"x86_64": "x86-64", "amd64": "x86-64", "aarch64": "aarch64", "arm64": "aarch64"}.get(machine.lower())
    if cpu is None or dtype == "float32":
        return UNKNOWN
    if reference:
        return REFERENCE
    if runtime == "tflite_runtime":  # its int8 models never reach XNNPACK
        return {"x86-64": BUILTIN, "aarch64": REFERENCE}[cpu]
    if xnnpack:
        return XNNPACK
    return {("litert", "aarch64"): BUILTIN_ARM, ("tf_lite", "aarch64"): UNKNOWN}.get((runtime, cpu), BUILTIN)
