"""`[bench]` of the profile: the socket that makes a run the bench, and how it chooses fields by itself."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from msgspec import Meta

from edge.settings.model import Text, WholePath

DEFAULT_SOCKET = Path("/run/leukoscope/instrument.sock")  # that of the unit


@dataclass(frozen=True)
class BenchSettings:
    """[bench]. `socket` None runs without one, a slide a run. `group`: whose members may use the socket beside the
    instrument's own user and root. `automatic`: usable new fields are judged by themselves, until a command says
    otherwise. `still_s`: seconds that the view must have stood still for that.

    >>> BenchSettings().automatic
    True
    """

    socket: WholePath | None = None
    group: Text | None = None
    automatic: bool = True
    still_s: Annotated[float, Meta(ge=0.1, le=10, description="a number 0.1..10")] = 0.4
