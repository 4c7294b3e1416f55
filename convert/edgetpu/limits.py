"""Lists and numbers behind the rules of `convert.edgetpu.rules`, which say where each is known from."""

# Operators that Coral lists for runtime 14 (models-intro, "Supported operations"), by their TFLite names.
SUPPORTED = frozenset(
    {
        "ADD",
        "AVERAGE_POOL_2D",
        "CONCATENATION",
        "CONV_2D",
        "DEPTHWISE_CONV_2D",
        "EXPAND_DIMS",
        "FULLY_CONNECTED",
        "L2_NORMALIZATION",
        "LOGISTIC",
        "LSTM",
        "MAXIMUM",
        "MAX_POOL_2D",
        "MEAN",
        "MINIMUM",
        "MUL",
        "PACK",
        "PAD",
        "PRELU",
        "QUANTIZE",
        "REDUCE_MAX",
        "REDUCE_MIN",
        "RELU",
        "RELU6",
        "RELU_N1_TO_1",
        "RESHAPE",
        "RESIZE_BILINEAR",
        "RESIZE_NEAREST_NEIGHBOR",
        "RSQRT",
        "SLICE",
        "SOFTMAX",
        "SPACE_TO_DEPTH",
        "SPLIT",
        "SQUARED_DIFFERENCE",
        "SQUEEZE",
        "STRIDED_SLICE",
        "SUB",
        "SUM",
        "TANH",
        "TRANSPOSE",
        "TRANSPOSE_CONV",
        "UNIDIRECTIONAL_SEQUENCE_LSTM",
    }
)

# Operators that run a further subgraph; without one, further subgraphs are further signatures.
CONTROL_FLOW = frozenset({"IF", "WHILE", "CALL_ONCE", "CALL"})

# Custom operators that Coral's own compiled files keep beside the compiled part.
KNOWN_CUSTOM = frozenset({"TFLite_Detection_PostProcess", "PosenetDecoderOp"})

# The newest version of each builtin operator that the compiler can know: what TensorFlow 2.8 registered, half a year
# after the compiler's release (an upper bound), less where a log shows a refusal. What is not named here came later.
_UP_TO = {  # version -> operators
    6: "DEPTHWISE_CONV_2D STRIDED_SLICE",
    5: "DEQUANTIZE GATHER MUL SLICE SUB TRANSPOSE",
    4: """ABS ADD BATCH_MATMUL CAST LSTM MAXIMUM MINIMUM PAD PADV2 RESIZE_BILINEAR RESIZE_NEAREST_NEIGHBOR SPLIT SVDF
        UNPACK""",
    3: """ARG_MAX ARG_MIN AVERAGE_POOL_2D BATCH_TO_SPACE_ND BIDIRECTIONAL_SEQUENCE_LSTM BIDIRECTIONAL_SEQUENCE_RNN
        BROADCAST_TO CONCATENATION EMBEDDING_LOOKUP EQUAL FILL GATHER_ND LOGISTIC MAX_POOL_2D MEAN NOT_EQUAL PACK
        REDUCE_MAX REDUCE_MIN RELU RELU6 REVERSE_V2 RNN SOFTMAX SPACE_TO_BATCH_ND SPARSE_TO_DENSE TANH
        UNIDIRECTIONAL_SEQUENCE_LSTM UNIDIRECTIONAL_SEQUENCE_RNN""",
    2: """DEPTH_TO_SPACE DIV FAKE_QUANT FLOOR_DIV GREATER GREATER_EQUAL L2_NORMALIZATION LEAKY_RELU LESS LESS_EQUAL
        LOG_SOFTMAX MIRROR_PAD REDUCE_PROD RSQRT SELECT SPACE_TO_DEPTH SPLIT_V SQUARED_DIFFERENCE SQUEEZE SUM TILE
        TOPK_V2 WHERE""",
    1: """ADD_N CALL_ONCE CEIL COMPLEX_ABS CONV_3D COS CUMSUM DENSIFY ELU EMBEDDING_LOOKUP_SPARSE EXPAND_DIMS FLOOR
        FLOOR_MOD HARD_SWISH HASHTABLE_LOOKUP IF IMAG L2_POOL_2D LOCAL_RESPONSE_NORMALIZATION LOG LOGICAL_AND
        LOGICAL_NOT LOGICAL_OR LSH_PROJECTION MATRIX_DIAG MATRIX_SET_DIAG NEG NON_MAX_SUPPRESSION_V4
        NON_MAX_SUPPRESSION_V5 ONE_HOT POW PRELU RANGE RANK REAL REDUCE_ANY RELU_N1_TO_1 RESHAPE REVERSE_SEQUENCE RFFT2D
        ROUND SCATTER_ND SEGMENT_SUM SELECT_V2 SHAPE SIN SKIP_GRAM SQRT SQUARE UNIQUE WHILE ZEROS_LIKE""",
}
REFUSED_FROM = {  # operator -> first version that a log shows refused
    "CONV_2D": 6,  # google-coral/edgetpu#631
    "EXP": 2,  # google-coral/libedgetpu#71
    "FULLY_CONNECTED": 9,  # public logs, 12 too
    "QUANTIZE": 3,  # google-coral/edgetpu#879
    "TRANSPOSE_CONV": 4,  # google-coral/edgetpu#845
}
NEWEST_VERSION = {name: version for version, names in _UP_TO.items() for name in names.split()}
NEWEST_VERSION |= {name: version - 1 for name, version in REFUSED_FROM.items()}

# The newest version seen in a compiled file or in a log with the operator mapped.
SEEN_VERSION = {
    **dict.fromkeys(
        ("CONV_2D", "DEPTHWISE_CONV_2D", "RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR", "TRANSPOSE_CONV"), 3
    ),
    **dict.fromkeys(
        ("ADD", "AVERAGE_POOL_2D", "CONCATENATION", "L2_NORMALIZATION", "LOGISTIC", "MAXIMUM", "MINIMUM"), 2
    ),
    **dict.fromkeys(("MAX_POOL_2D", "MEAN", "MUL", "PAD", "RELU", "RELU6", "RSQRT", "SOFTMAX", "SPACE_TO_DEPTH"), 2),
    **dict.fromkeys(("SPLIT", "STRIDED_SLICE", "SUB", "TANH", "TRANSPOSE"), 2),
    "FULLY_CONNECTED": 4,
}

# What the chip holds, about; in logs the room for parameters is 7 to 7.7 MiB, less where activations are large: 5.7 MiB
# of a U-Net (issue 187), 1.9 MiB of a file of 4.4 (issue 427), 1.7 MiB for images of 1920x1058. A single layer of 3.4
# MiB was sent though there was room (issue 572), 0.3 MiB of a network with 41 PRELU, and dense layers of 4,860 inputs
# and 16 outputs took 31 times their size. In eight compiled networks for 128x128 pixels, 524,288 bytes were sent again
# for every inference though all of their parameters had room.
ON_CHIP_BYTES = 8 * 2**20
SURELY_FITS_BYTES = 17 * 2**18  # 4.25 MiB of parameters, as the file counts them: the compiler pads them
SURELY_FIT_TOGETHER_BYTES = 7 * 2**20  # parameters and twice the largest activation
LARGE_CONSTANT_BYTES = 2 * 2**20
WIDE_DENSE_INPUTS, FEW_DENSE_OUTPUTS = 4000, 63
LARGE_DENSE_BYTES = 2**19
SOFTMAX_WIDEST = 16_384
DENSE_WIDEST = 99_999  # outputs
MEAN_POSITIONS = 32_768
RESIZE_BYTES = RESHAPE_BYTES = 3 * 2**20
DOUBTFUL_BYTES = 2**19
LSTM_FEATURES = 900
