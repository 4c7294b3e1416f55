"""`[model]` of the profile, and the options that override it: read in one way by every command.

Apart from `edge.settings.profile`, which is slower to import than a command without a profile may take.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

from msgspec import Meta

from edge.errors import SettingsError
from edge.inference.runtime.runtimes import MOST_THREADS, RUNTIMES
from edge.system.option_values import one_of, whole_number

Text = Annotated[str, Meta(min_length=1, description="a text in quotes")]
WholePath = Annotated[Path, Meta(description="a whole path, from / on")]
_Runtime = Annotated[str, Meta(pattern=rf"\A(?:{'|'.join(RUNTIMES)})\Z", description=f"one of {', '.join(RUNTIMES)}")]
_Threads = Annotated[int, Meta(ge=1, le=MOST_THREADS, description=f"a whole number 1..{MOST_THREADS}")]


@dataclass(frozen=True)
class ModelSettings:
    """[model]. `bundle` None is the slot that serves, else the shipped one; `runtime` None the first installed.
    `edgetpu` None is the CPU; `fallback` lets the CPU do the work when the Edge TPU cannot be used. `ungated` judges
    every frame, whatever the bundle's gates say, also with a bundle that has none.

    >>> ModelSettings(edgetpu="usb:0", fallback=True).bundle is None
    True
    """

    bundle: WholePath | None = None
    runtime: _Runtime | None = None
    threads: _Threads = 1
    edgetpu: Text | None = None
    fallback: bool = False
    ungated: bool = False

    def __post_init__(self) -> None:
        if self.fallback and self.edgetpu is None:
            raise SettingsError("fallback is about edgetpu, which is not given")

    def with_options(
        self, *, bundle: str = "", runtime: str = "", threads: str = "", edgetpu: str = "", ungated: bool = False
    ) -> "ModelSettings":
        """These settings under a command's options; "" is an option that is left out.

        >>> ModelSettings(threads=3).with_options(runtime="litert")
        ModelSettings(bundle=None, runtime='litert', threads=3, edgetpu=None, fallback=False, ungated=False)

        Raises:
            UsageError: no such runtime, or number of threads. SettingsError: no such device.
        """
        model = self
        if bundle:
            model = replace(model, bundle=Path(bundle))
        if runtime:
            model = replace(model, runtime=one_of(runtime, "--runtime", RUNTIMES))
        if threads:
            model = replace(model, threads=whole_number(threads, "--threads", at_least=1, at_most=MOST_THREADS))
        if edgetpu:
            from edge.inference.runtime.edgetpu_delegate import device_name

            model = replace(model, edgetpu=device_name(edgetpu, "--edgetpu"))
        if ungated:
            model = replace(model, ungated=True)
        return model
