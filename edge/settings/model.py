"""`[model]` of the profile, and the options that override it: read in one way by every command.

Apart from `edge.settings.profile`, which is slower to import than a command without a profile may take.
"""

from dataclasses import dataclass, replace
from pathlib import Path

from edge.errors import SettingsError
from edge.inference.runtimes import MOST_THREADS, RUNTIMES
from edge.system.option_values import one_of, whole_number


@dataclass(frozen=True)
class ModelSettings:
    """[model]. `bundle` None is the slot that serves, else the shipped one; `runtime` None the first installed.
    `edgetpu` None is the CPU; `fallback` lets the CPU do the work when the Edge TPU cannot be used."""

    bundle: Path | None = None
    runtime: str | None = None
    threads: int = 1
    edgetpu: str | None = None
    fallback: bool = False

    def __post_init__(self) -> None:
        if self.fallback and self.edgetpu is None:
            raise SettingsError("model.fallback is about model.edgetpu, which is not given")

    def with_options(
        self, *, bundle: str = "", runtime: str = "", threads: str = "", edgetpu: str = ""
    ) -> "ModelSettings":
        """These settings under a command's options; "" is an option that is left out.

        >>> ModelSettings(threads=3).with_options(runtime="litert")
        ModelSettings(bundle=None, runtime='litert', threads=3, edgetpu=None, fallback=False)

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
            from edge.inference.edgetpu_delegate import device_name

            model = replace(model, edgetpu=device_name(edgetpu, "--edgetpu"))
        return model
