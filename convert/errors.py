"""The exceptions of `convert`."""

from typing import ClassVar

from edge.errors import LeukoscopeError


class ConvertError(LeukoscopeError):
    """Base of the errors of `convert`."""


class FloatModelError(ConvertError, ValueError):
    """A source that is not a trained Keras image classifier. Cure: what the message names."""


class QuantizationError(ConvertError, RuntimeError):
    """The converter refused a model that loads. Cure: remove the operation it names, or report the model."""


class ConverterCrashed(QuantizationError):  # noqa: N818  (what happened, not a mistake)
    """TensorFlow's converter ended its process. Cause: a layer that it cannot convert; cure: what the message names.

    Attributes:
        stage: what it did when it crashed (`convert.quantization.converter.worker`).
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, stage: str = "") -> None:
        super().__init__(message)
        self.stage = stage


class ConverterLimitError(QuantizationError):
    """TensorFlow's converter took more time or memory than it may. Cure: a larger limit, or a larger machine."""

    exit_code: ClassVar[int] = 4


class VerificationError(ConvertError, ValueError):
    """A converted file that breaks a rule of its settings. Cause: the rule it names; cure: convert again.

    Attributes:
        rule: the name of the broken rule, such as "float-tensor".
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, rule: str, message: str) -> None:
        super().__init__(f"{rule}: {message}")
        self.rule = rule


class BrokenModelError(ConvertError, ValueError):
    """A file that is no TFLite model, or a damaged one. Cure: fetch or convert it again."""


class EdgeTpuModelError(ConvertError, ValueError):
    """A file of the other kind: compiled where a plain one is needed, or the reverse.

    Cure: give the other one.
    """


class CompilerUnavailable(ConvertError, FileNotFoundError):  # noqa: N818  (the state of a machine, not a mistake)
    """Coral's compiler is not on this machine, or cannot run on it. Cure: install it, or name it with --compiler."""

    exit_code: ClassVar[int] = 4


class EngineUnavailable(ConvertError, ModuleNotFoundError):  # noqa: N818  (the state of a machine, not a mistake)
    """A quantizer that is weighed against TensorFlow's is not on this machine. Cure: what the message names."""

    exit_code: ClassVar[int] = 4


class PreprocessingError(ConvertError, ValueError):
    """A contract that does not prepare images as in the network's training. Cure: correct what the message names.

    Attributes:
        rule: "label-order", "channel-order" or "value-range".
    """

    def __init__(self, rule: str, message: str) -> None:
        super().__init__(f"{rule}: {message}")
        self.rule = rule


class CalibrationError(ConvertError, ValueError):
    """A calibration set that cannot serve. Cure: what the message names.

    Attributes:
        rule: the lint rule that refused it, such as "repeated-image"; "request" when the request was wrong.
    """

    def __init__(self, message: str, rule: str = "request") -> None:
        super().__init__(message)
        self.rule = rule


class PolicyError(ConvertError, ValueError):
    """A policy file that cannot be followed: a wrong key, a missing one, a value out of range. Cure: correct it."""


class ParityError(ConvertError, ValueError):
    """Outputs of two models that cannot be compared image by image. Cure: correct what the message names."""


class LatencyError(ConvertError, ValueError):
    """Interpreters or inputs that cannot be timed against each other. Cure: correct what the message names."""


class CertificateError(ConvertError, ValueError):
    """Facts that cannot stand in one certificate. Cure: correct what the message names."""


class ReportError(ConvertError, ValueError):
    """Outputs or images that do not belong to the certificate shown. Cure: give those it was made from."""


class SigningError(ConvertError, ValueError):
    """A bundle that cannot be signed or checked like that. Cure: what the message names."""


class PublishError(ConvertError, ValueError):
    """A repository that cannot be made, read or changed like that. Cure: what the message names."""


class DiagnoseError(ConvertError, ValueError):
    """A float network and an int8 file that cannot be held against each other. Cure: give two that belong together."""


class RecoveryError(ConvertError, ValueError):
    """A network that the search cannot change as it would need to. Cure: convert it without `--search`."""


class FineTuneError(RecoveryError):
    """A network that cannot be fine-tuned in its int8 arithmetic, or a fine-tune that failed: the message says why.

    Cure: none is needed where a search met it, which keeps the best file it has without; else lower the learning rate.
    """


class TooFewImagesError(ConvertError, ValueError):
    """Too few images to say where an error comes from, or to choose by. Cure: give more."""

    exit_code: ClassVar[int] = 3


class ParetoError(ConvertError, ValueError):
    """Networks, widths, sizes or formats that cannot be compared with each other. Cure: what the message names."""


class AcceptanceRefused(ConvertError, ValueError):  # noqa: N818  (an answer, not a mistake)
    """Slides that can show nothing of a bundle. Cause: the rule it names; cure: other slides.

    Attributes:
        rule: a stable name, such as "slide_trained" or "class_is_camera".
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, rule: str, message: str) -> None:
        super().__init__(f"{rule}: {message}")
        self.rule = rule


class RejudgedError(ConvertError, ValueError):
    """A bundle that stored fields speak against. Cure: look at what changed (`edge rejudge --out`), and mend the bundle
    or the limits."""

    exit_code: ClassVar[int] = 1
