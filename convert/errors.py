"""The exceptions of `convert`."""

from edge.errors import LeukoscopeError


class ConvertError(LeukoscopeError):
    """Base of the errors of `convert`."""
