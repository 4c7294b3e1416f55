"""The exceptions of `edge`. Each knows the exit code of a command that it ends (DESIGN: exit codes)."""

from typing import ClassVar


class LeukoscopeError(Exception):
    """Base of all errors this project raises on purpose. Cause: the request; cure: what the message names."""

    exit_code: ClassVar[int] = 2


class EdgeError(LeukoscopeError):
    """Base of the errors of `edge`."""


class ContractError(EdgeError, ValueError):
    """An input contract that cannot be met or does not fit the model. Cure: correct the field it names."""


class FrameError(EdgeError, ValueError):
    """A frame that is not uint8 (H, W, 3). Cure: convert it where it was captured."""


class ImageFileError(EdgeError, ValueError):
    """A file that holds no readable image. Cure: replace or remove the file."""


class BundleError(EdgeError, ValueError):
    """A bundle that is incomplete, altered or not certified. Cure: fetch or build it again."""


class GoldenMismatchError(EdgeError, RuntimeError):
    """The model answers otherwise here than where it was certified. Cure: another runtime, or a sound one."""

    exit_code: ClassVar[int] = 1


class ModelFileError(EdgeError, ValueError):
    """A TFLite file no interpreter can load, or that is no classifier. Cure: convert it again."""


class FlatbufferError(EdgeError, ValueError):
    """A FlatBuffer that refers to what lies outside it, or to what makes no sense. Cause: damage.

    Names no file: readers narrow it to `ModelFileError`, or `convert` to its own, and say which.
    """


class InterpreterUnavailable(EdgeError, ImportError):  # noqa: N818  (the state of a machine, not a mistake)
    """No such TFLite interpreter on this machine. Cure: install the extra the message names."""

    exit_code: ClassVar[int] = 4


class SlideError(EdgeError, ValueError):
    """A virtual slide asked for something that cannot be drawn. Cure: correct the argument it names."""
