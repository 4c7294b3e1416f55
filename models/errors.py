"""The exceptions of `models`."""

from edge.errors import LeukoscopeError


class ModelsError(LeukoscopeError):
    """Base of the errors of `models`."""
