"""What is known of Coral's compiler and its Edge TPU, rule by rule: what it says, the cure, where it is known from.

The compiler is closed source, its last release (16.0.384591198) is of 2021, and neither it nor an Edge TPU was at hand
when this was written. So every rule names its source and how sure it is. docs/reference/edgetpu-rules.md is made from
this module.
"""

from dataclasses import dataclass
from typing import Literal

COMPILER = "16.0.384591198"  # the release that the rules describe

Effect = Literal["cpu", "refused", "note"]
Sure = Literal["documented", "logged", "observed", "inferred"]
SURE = {
    "documented": "Coral's documentation says so",
    "logged": "a public log of the compiler shows it",
    "observed": "seen in files that Coral published, or measured for this project",
    "inferred": "follows from how TFLite works, or from a single report; not seen in a log",
}
_DOCS = "https://coral.ai/docs/edgetpu/models-intro/"
_COMPILER_DOCS = "https://coral.ai/docs/edgetpu/compiler/"
_ISSUE = "https://github.com/google-coral/edgetpu/issues/"
_LIB_ISSUE = "https://github.com/google-coral/libedgetpu/issues/"
_HARDWARE_NOTES = "https://github.com/ricardodeazambuja/LibrEdgeTPU/blob/main/docs/HARDWARE_ANALYSIS.md"
_YOLO9 = "https://github.com/dbro/frigate-detector-edgetpu-yolo9"
_REGISTER = "https://github.com/tensorflow/tensorflow/blob/v2.8.0/tensorflow/lite/kernels/register.cc"


@dataclass(frozen=True)
class Rule:
    """One thing that decides what becomes of an operator or a file.

    Attributes:
        name: as reports and JSON name it.
        effect: "cpu": the operator stays outside; "refused": nothing is compiled, or nothing that may be used;
            "note": said, and changes nothing.
        says: one sentence. cure: what to do about it, "" where there is nothing to do.
        sure: one of `SURE`. sources: addresses, or what was measured.
    """

    name: str
    effect: Effect
    says: str
    cure: str
    sure: Sure
    sources: tuple[str, ...]


_CATALOGUE = (
    # --- the whole file is refused ---
    Rule(
        "model-not-quantized",
        "refused",
        "no tensor is quantized to 8 bits; the compiler says `Model not quantized`",
        "quantize it: convert quantize --int8 MODEL",
        "logged",
        ("https://github.com/tensorflow/tensorflow/issues/46806", _DOCS),
    ),
    Rule(
        "dynamic-tensor",
        "refused",
        "a tensor's size is known only while running; the compiler says that it `only supports static-sized tensors`",
        "convert with a fixed batch (keras.Input(..., batch_size=1)) and without shapes that are computed",
        "logged",
        (_ISSUE + "829", "https://github.com/tensorflow/tensorflow/issues/57905", _DOCS),
    ),
    Rule(
        "op-version",
        "refused",
        "the operator's version is newer than the compiler knows; it says `Didn't find op for builtin opcode`",
        "convert with an older TensorFlow, or with settings for older versions (convert quantize --int8)",
        "logged",
        (
            _ISSUE + "879",
            _ISSUE + "631",
            _ISSUE + "845",
            "https://github.com/google-coral/libedgetpu/issues/71",
            _REGISTER,
        ),
    ),
    Rule(
        "unknown-operator",
        "refused",
        "the operator is newer than the compiler; it says `Op builtin_code out of range`",
        "replace the layer by operators of TensorFlow 2.5",
        "logged",
        (_ISSUE + "862",),
    ),
    Rule(
        "unknown-custom-operator",
        "refused",
        "a custom operator the compiler does not know; it says `Encountered unresolved custom op`",
        "cut the model before it, and do its work outside",
        "inferred",
        ("https://github.com/tensorflow/tensorflow/issues/35688", _COMPILER_DOCS),
    ),
    Rule(
        "per-channel-dense",
        "refused",
        "a FULLY_CONNECTED has a scale a channel; software of the compiler's age loads it without a word and computes "
        "wrongly",
        "set _experimental_disable_per_channel_quantization_for_dense_layers (convert quantize --int8 does)",
        "observed",
        ("measured: 71 % top-1 agreement on tflite-runtime 2.7 with a file of TensorFlow 2.21",),
    ),
    Rule(
        "constants-behind",
        "refused",
        "its constants lie behind the FlatBuffer (Buffer.offset), as newer quantizers write them; software of the"
        " compiler's age does not look there and finds none",
        "quantize with TensorFlow's converter (convert quantize --int8)",
        "inferred",
        ("https://github.com/google-ai-edge/LiteRT/blob/main/tflite/schema/schema.fbs",),
    ),
    Rule(
        "second-subgraph",
        "refused",
        "the file holds more than one subgraph (control flow); no compiled file with one is known",
        "convert a model without IF, WHILE or CALL_ONCE: unroll loops, fix conditions",
        "inferred",
        (_COMPILER_DOCS,),
    ),
    Rule(
        "order",
        "refused",
        "the operators cannot be put into an order in which each finds its inputs",
        "convert the file again",
        "inferred",
        ("https://github.com/tensorflow/tensorflow/blob/v2.5.0/tensorflow/lite/graph_info.cc",),
    ),
    # --- the operator stays on the CPU ---
    Rule(
        "unsupported-operator",
        "cpu",
        "the operator is not among those Coral lists",
        "replace it: ReLU or ReLU6 for LEAKY_RELU, HARD_SWISH and ELU; or let it be the last one",
        "documented",
        (_DOCS + "#supported-operations", _ISSUE + "272", _ISSUE + "353"),
    ),
    Rule(
        "custom-operator",
        "cpu",
        "a custom operator that stays behind the compiled part, as in Coral's own files",
        "",
        "logged",
        (_ISSUE + "515", "https://github.com/tensorflow/models/issues/10695"),
    ),
    Rule(
        "data-type",
        "cpu",
        "it works on numbers that are not 8-bit; the compiler says `Operation is working on an unsupported data type`",
        "keep float, int16 and int32 out of the graph: int8 inputs and outputs, no DEQUANTIZE",
        "logged",
        ("https://github.com/tensorflow/models/issues/9033", "https://github.com/f0cal/google-coral/issues/20", _DOCS),
    ),
    Rule(
        "no-scale",
        "cpu",
        "an 8-bit tensor without a scale: it is not quantized, whatever its type",
        "convert it again with a calibration set",
        "inferred",
        (_DOCS,),
    ),
    Rule(
        "quantize-from-float",
        "cpu",
        "a QUANTIZE of float inputs stays in front of the compiled part",
        "ask the converter for int8 or uint8 inputs",
        "logged",
        ("https://github.com/f0cal/google-coral/issues/20",),
    ),
    Rule(
        "rank",
        "cpu",
        "more than the three innermost dimensions are above 1 (a batch, for instance); the compiler says "
        "`Tensor has unsupported rank`",
        "fix the batch at 1",
        "logged",
        (_ISSUE + "30", _ISSUE + "75", _DOCS),
    ),
    Rule(
        "constant-parameters",
        "cpu",
        "weights, axes or sizes are computed while running",
        "make them constants of the model",
        "documented",
        (_DOCS,),
    ),
    Rule(
        "fused-activation",
        "cpu",
        "a pooling or concatenation with a fused activation",
        "put the activation in front of it, into a convolution",
        "documented",
        (_DOCS,),
    ),
    Rule(
        "concat-constant",
        "cpu",
        "a concatenation with a constant that is more than zero-padding: two inputs, the constant all zeros",
        "add the constant in another way, or pad",
        "documented",
        (_DOCS,),
    ),
    Rule(
        "dilation",
        "cpu",
        "a convolution with different dilations in x and y",
        "use the same dilation in both directions",
        "documented",
        (_DOCS,),
    ),
    Rule(
        "grouped-convolution",
        "cpu",
        "a convolution whose filters do not reach over all input channels (groups)",
        "use a depthwise and a pointwise convolution",
        "inferred",
        (_DOCS,),
    ),
    Rule(
        "dense-format",
        "cpu",
        "a FULLY_CONNECTED whose weights are shuffled or sparse",
        "convert without experimental weight formats",
        "documented",
        (_DOCS,),
    ),
    Rule(
        "dense-output",
        "cpu",
        "a FULLY_CONNECTED with an output of more than one dimension, or a SOFTMAX of a batch",
        "flatten before it, or use a 1x1 convolution",
        "logged",
        (_DOCS, _ISSUE + "27"),
    ),
    Rule(
        "dense-width",
        "cpu",
        "a FULLY_CONNECTED with 100,000 outputs or more, which the compiler cannot compile (98,000 were mapped)",
        "split it (split_fc of Coral's tools), or use a narrower embedding",
        "inferred",
        ("https://github.com/google-coral/libcoral/blob/master/CHANGES.md",),
    ),
    Rule(
        "softmax-width",
        "cpu",
        "a SOFTMAX over more than 16,000 values",
        "leave it out: its order is that of its inputs",
        "documented",
        (_DOCS,),
    ),
    Rule(
        "batch-axis",
        "cpu",
        "it reduces, pads, splits or packs the batch dimension",
        "let it work on the other dimensions",
        "documented",
        (_DOCS,),
    ),
    Rule(
        "mean-depth",
        "cpu",
        "a MEAN over a number of channels that is no multiple of 4",
        "use a multiple of 4 channels, or take the mean over x and y alone",
        "documented",
        (_DOCS,),
    ),
    Rule(
        "mean-size",
        "cpu",
        "a MEAN over 32,768 positions or more (logs: 256x128 stayed outside, 64x128 was mapped)",
        "shrink before it, or take means of parts",
        "logged",
        (_ISSUE + "461",),
    ),
    Rule(
        "resize-rank",
        "cpu",
        "a RESIZE of something that is no height x width x channels",
        "resize images only",
        "documented",
        (_DOCS,),
    ),
    Rule(
        "resize-factor",
        "cpu",
        "a RESIZE_BILINEAR of a single position to more: in Coral's own DeepLab, 1x1 to 33x33 stayed outside",
        "widen a single position in another way: add it to something larger, or leave image pooling out",
        "observed",
        (_HARDWARE_NOTES, _ISSUE + "31"),
    ),
    Rule(
        "resize-size",
        "cpu",
        "a RESIZE to 3 MiB or more (logs: 3 MiB stayed outside, 0.5 MiB was mapped)",
        "resize to less, or outside of the model",
        "logged",
        (_ISSUE + "31", _ISSUE + "597"),
    ),
    Rule(
        "reshape-size",
        "cpu",
        "a RESHAPE of 3 MiB or more: large ones are not mapped (1.3 MB was, 3.5 MB was not)",
        "reshape something smaller, or outside of the model",
        "logged",
        (_DOCS, _ISSUE + "356", _ISSUE + "560"),
    ),
    Rule(
        "strided-slice",
        "cpu",
        "a STRIDED_SLICE with a stride other than 1, or with an ellipsis or new-axis mask",
        "use SLICE, or strides of 1",
        "documented",
        (_DOCS,),
    ),
    Rule(
        "prelu-alpha",
        "cpu",
        "a PRELU whose alpha has more than its innermost dimension above 1",
        "share it: keras.layers.PReLU(shared_axes=[1, 2])",
        "documented",
        (_DOCS,),
    ),
    Rule(
        "after-unmapped",
        "cpu",
        "it comes after an operator that is not mapped; the compiler says `More than one subgraph is not supported`",
        "cure what stands before it",
        "logged",
        (_ISSUE + "461", _COMPILER_DOCS),
    ),
    # --- said, and no more ---
    Rule(
        "open-batch",
        "note",
        "sizes are open in the signature and fixed in the file; the compiled file has the fixed ones",
        "convert with a fixed batch, so that nothing is open",
        "inferred",
        (_DOCS,),
    ),
    Rule(
        "unseen-version",
        "note",
        "a version that is newer than in any compiled file or log known here, and older than the refused ones",
        "",
        "inferred",
        (_REGISTER,),
    ),
    Rule(
        "large-reshape",
        "note",
        "reshapes from 0.5 MB on were mapped in some logs and not in others",
        "",
        "logged",
        (_DOCS, _ISSUE + "512", _ISSUE + "560"),
    ),
    Rule(
        "large-activation",
        "note",
        "an activation is larger than the on-chip memory: the compiler may end with `large activation tensors`",
        "use a smaller input",
        "logged",
        (_ISSUE + "439", _ISSUE + "512"),
    ),
    Rule(
        "large-resize",
        "note",
        "between 0.5 and 3 MiB no log says whether a RESIZE is mapped",
        "",
        "inferred",
        (_ISSUE + "31", _ISSUE + "597"),
    ),
    Rule(
        "transpose",
        "note",
        "some transposes are mapped and some are not, and no log says which",
        "",
        "logged",
        (_ISSUE + "433", _ISSUE + "512", _YOLO9),
    ),
    Rule(
        "softmax-rows",
        "note",
        "a SOFTMAX of several rows: Coral documents one dimension, a log has three of a network with rows mapped",
        "",
        "logged",
        (_DOCS, _YOLO9),
    ),
    Rule(
        "lstm-width",
        "note",
        "an LSTM over more than 900 features failed to compile, without a reason given",
        "reduce the features before it",
        "logged",
        (_ISSUE + "598",),
    ),
    Rule(
        "streams",
        "note",
        "parameters beyond the on-chip memory are sent again for every inference",
        "a narrower network, or a smaller one",
        "documented",
        (_COMPILER_DOCS, _ISSUE + "187", _ISSUE + "427"),
    ),
)
RULES = {rule.name: rule for rule in _CATALOGUE}
