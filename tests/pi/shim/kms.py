"""Stands in for a module that picamera2 imports for a screen of its own, which nothing here opens."""

from typing import Any


class _AnyName(type):
    def __getattr__(cls, name: str) -> str:
        if name.startswith("__"):
            raise AttributeError(name)
        return name


class PixelFormats(metaclass=_AnyName):
    """Every format's name is itself."""


class Card:
    """No screen."""

    def __init__(self, *_: Any) -> None:
        raise RuntimeError("there is no screen here")
