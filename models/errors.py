"""The exceptions of `models`."""

from typing import ClassVar

from edge.errors import LeukoscopeError


class ModelsError(LeukoscopeError):
    """Base of the errors of `models`."""


class DatasetError(ModelsError, ValueError):
    """A folder that is no set of images, a folder a class. Cure: give the folder of the class folders."""


class MissingExtraError(ModelsError, ImportError):
    """A package that this command needs is not installed. Cure: the `pip install` line in the message."""

    exit_code: ClassVar[int] = 4


class StatisticsError(ModelsError, ValueError):
    """An argument a statistic is not defined for. Cure: correct the argument the message names."""


class EvaluationError(ModelsError, ValueError):
    """Probabilities, labels or truth that do not fit together. Cure: correct the array the message names."""


class FigureError(ModelsError, ValueError):
    """Data that cannot be drawn, or an image format there is no writer for. Cure: correct what the message names."""


class SyntheticCheckError(ModelsError, ValueError):
    """Synthetic fields cannot be asked for or answered that way. Cure: correct the argument it names."""


class FetchError(ModelsError, ValueError):
    """A download that cannot be read, or a target that is in the way. Cure: what the message names."""


class DiskFullError(ModelsError, OSError):
    """Not enough room where files are to be written. Cure: free some, or choose another folder."""

    exit_code: ClassVar[int] = 4


class NetworkError(ModelsError, ValueError):
    """A network file that is damaged or does not fit its contract. Cure: train it again, or correct the contract."""


class ForeignCodeError(NetworkError):
    """A network file that needs code which is not run unasked. Cure: give the code, or export a SavedModel."""


class TrainingError(ModelsError, ValueError):
    """A training run that cannot start or continue as asked. Cure: what the message names."""


class CrossValidationError(ModelsError, ValueError):
    """A cross-validation that cannot go on, or a record that is none. Cure: what the message names."""


class AdaptationError(ModelsError, ValueError):
    """A site that no network can be adapted to as asked. Cure: what the message names."""


class SiteRefusedError(AdaptationError):
    """The audit of a site forbids every figure. Cure: collect as its refusals, by name, say."""

    exit_code: ClassVar[int] = 1


class TooFewFieldsError(AdaptationError):
    """Too few slides or fields to say anything. Cure: collect as many as the message names."""

    exit_code: ClassVar[int] = 3
