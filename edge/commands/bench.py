"""The `edge bench` command."""

import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edge.commands.command_line import Outcome
from edge.errors import DONE, UsageError
from edge.system.option_values import optional_path, whole_number

if TYPE_CHECKING:
    from edge.settings.profile import Settings


@dataclass(frozen=True)
class BenchRequest:
    """What to time, and where: `folder` exists; the pipeline's record is made in it, on the disk that counts, and
    removed.

    >>> bench(frames="20").frames
    20
    """

    settings: "Settings"
    frames: int
    folder: Path
    mediapipe: Path | None = None
    figure: Path | None = None
    json: bool = False
    allow_uncertified: bool = False
    allow_unsigned: bool = False
    watchers: int = 0

    def execute(self) -> Outcome:
        """Time stages, pipeline and contenders.

        Returns:
            Code 0. Record: the medians of DESIGN and `details`; the text is a table of the same.

        Raises:
            LeukoscopeError: no bundle, interpreter, file for MediaPipe or room for the pipeline's record.
        """
        from msgspec import to_builtins

        from edge.bundle.trusted import TrustedKeys
        from edge.diagnostics.benchmark.bench import measure, table

        if self.mediapipe is not None and not self.mediapipe.is_file():
            raise UsageError(f"--mediapipe must be a uint8 .tflite file with metadata; got {self.mediapipe}")
        record = measure(
            self.settings,
            trust=TrustedKeys.load(self.settings.trust.keys),
            allow_uncertified=self.allow_uncertified,
            allow_unsigned=self.allow_unsigned,
            frames=self.frames,
            folder=self.folder,
            mediapipe=self.mediapipe,
            watchers=self.watchers,
        )
        if self.figure is not None:
            from edge.diagnostics.benchmark.figure import draw

            draw(record, self.figure)
        return Outcome(DONE, to_builtins(record), table(record))


def bench(
    bundle: str = "",
    frames: str = "200",
    threads: str = "",
    edgetpu: str = "",
    runtime: str = "",
    mediapipe: str = "",
    watchers: str = "0",
    figure: str = "",
    config: str = "",
    json: bool = False,
    allow_uncertified: bool = False,
    allow_unsigned: bool = False,
    ungated: bool = False,
) -> BenchRequest:
    """Measure how fast this machine classifies, beside the bare interpreter in one interleaved run.

    Args:
        bundle: folder of a model; the shipped mobilenet_v2-int8 when left out.
        frames: rounds of the measurement.
        threads: for one inference.
        runtime: litert, tflite_runtime or tf_lite; the first that is installed when left out.
        edgetpu: usb, pci, usb:N or pci:N: run the model compiled for the Edge TPU there; the CPU when left out.
        mediapipe: the same network as a uint8 file with metadata, to measure MediaPipe's ImageClassifier beside it.
        watchers: clients of the instrument's socket, up to 32, to measure what watching costs the pipeline.
        figure: PNG file to draw.
        config: profile; /etc/leukoscope/edge.toml where it exists. Options here come before it.
        json: print one JSON object.
        allow_uncertified: use a bundle whose certificate does not say "pass".
        allow_unsigned: use a bundle that no key trusted here signed; the record says so.
        ungated: measure without gates; the record says so. For a bundle without gates.
    """
    from edge.diagnostics.benchmark.timing import FEWEST_FRAMES
    from edge.diagnostics.storage import existing
    from edge.instrument.socket.server import MOST_CLIENTS
    from edge.settings.profile import load
    from edge.system.files import require_file

    settings = load(optional_path(config)).with_options(
        bundle=bundle, runtime=runtime, threads=threads, edgetpu=edgetpu, ungated=ungated
    )
    if figure:
        _require_package(
            "matplotlib", "--figure", "pip install '.[models]' in a clone of Leukoscope, or draw it elsewhere"
        )
        require_file(Path(figure), "--figure")
    if mediapipe:
        _require_package("mediapipe", "--mediapipe", "pip install mediapipe")
    return BenchRequest(
        settings=settings,
        frames=whole_number(frames, "--frames", at_least=FEWEST_FRAMES),
        folder=existing(settings.store.absolute()),
        mediapipe=optional_path(mediapipe),
        figure=optional_path(figure),
        json=json,
        allow_uncertified=allow_uncertified,
        allow_unsigned=allow_unsigned,
        watchers=whole_number(watchers, "--watchers", at_most=MOST_CLIENTS),
    )


def _require_package(package: str, option: str, cure: str) -> None:
    if importlib.util.find_spec(package) is None:
        raise UsageError(f"{option} needs {package}, which is not installed: {cure}")
