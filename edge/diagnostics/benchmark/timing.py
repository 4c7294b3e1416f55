"""Timing for `edge bench`: the stages of one frame, and the contenders of one interleaved run."""

import resource
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edge.cameras.synthetic.smear import SyntheticSmear
from edge.errors import UsageError
from edge.inference.classifier import Classifier
from edge.inference.contract import Pixels
from edge.inference.gates.base import Gates
from edge.inference.runtime.interpreters import Interpreter
from edge.inference.shrinking import Scratch
from edge.inference.tiles import prepare_field, prepare_tiles
from edge.system.interleaved_timing import Times

FRAME_SIZE = (1280, 960)  # (width, height) of a camera's frame, pixels
FEWEST_FRAMES = 10
WARM_UP = 10


def drawn_frame() -> Pixels:
    """A drawn field, uint8 (960, 1280, 3) RGB: in focus and full of cells, so that no gate refuses it.

    Drawn at half the size, each pixel then doubled: drawing all of it would take more memory than what is measured.
    """
    width, height = FRAME_SIZE
    half = SyntheticSmear(seed=7, recipe="Early").field(0.0, 0.0, (width // 2, height // 2)).frame
    return half.repeat(2, axis=0).repeat(2, axis=1)


def contenders(
    classifier: Classifier, frame: Pixels, others: Callable[[Pixels], object] | None
) -> dict[str, Callable[[], object]]:
    """Calls to be timed against each other.

    `invoke` is the runtime's own object with its input already set, the same one that the classifier uses: two of
    them would lie elsewhere in memory, which alone is worth a percent. `frame_224` starts from prepared pixels
    (of the model's size, whatever that is; of tiles all of them), `frame_1280x960` from a camera's frame; the other two
    are `others` (MediaPipe's) on the same pixels.
    """
    prepared = prepare_field(classifier.contract, frame)
    engine = raw_interpreter(classifier.interpreter)
    calls: dict[str, Callable[[], object]] = {
        "invoke": engine.invoke,
        "frame_224": lambda: classifier.classify_prepared(prepared),
        "frame_1280x960": lambda: classifier.classify(frame),
    }
    if others is not None:
        calls["mediapipe_224"] = lambda: others(prepared)
        calls["mediapipe_1280x960"] = lambda: others(frame)
    return calls


def stages(classifier: Classifier, asked: Gates, frame: Pixels, count: int) -> Times:
    """Milliseconds of each step from pixels to verdict, `count` times: capture, prepare, gates, novelty, encode,
    invoke, decode.

    `capture` is the virtual microscope's, unpaced, and says nothing about a real camera. `novelty` is the last gate
    where that is the one against frames unlike the training images, on what the other `gates` have measured already.
    Of tiles `prepare` is the whole frame and all tiles, `encode` up to the first inference, and `invoke` all inferences
    with the encoding between them.
    """
    from edge.cameras.backends import open_camera
    from edge.cameras.base import CameraSettings
    from edge.inference.gates.novelty import NAME

    gates = [gate for gate in asked.gates if gate.name != NAME]
    novelty = [gate for gate in asked.gates if gate.name == NAME]
    scratch, of_tiles, contract = Scratch(), Scratch(), classifier.contract
    watched = _Watched(classifier.interpreter)
    observed = Classifier(classifier.contract, watched)
    into = np.empty_like(frame)
    times: Times = {name: [] for name in ("capture", "prepare", "gates", "novelty", "encode", "invoke", "decode")}
    camera = open_camera("sim:")
    camera.open()
    try:
        camera.configure(CameraSettings(size=FRAME_SIZE))
        for round_ in range(count + WARM_UP):
            marks = [time.perf_counter()]
            camera.capture(2.0, into)
            marks.append(time.perf_counter())
            prepared = contract.prepare(frame, scratch)
            views = prepared if contract.tiles is None else prepare_tiles(contract, frame, of_tiles)
            marks.append(time.perf_counter())
            view = asked.view(prepared)
            for gate in gates:
                gate.read(view)
            marks.append(time.perf_counter())
            for gate in novelty:
                gate.read(view)
            marks.append(time.perf_counter())
            watched.began = 0.0
            observed.classify_prepared(views)
            marks += [watched.began, watched.ended, time.perf_counter()]
            if round_ >= WARM_UP:
                for name, start, end in zip(times, marks, marks[1:], strict=False):
                    times[name].append((end - start) * 1e3)
    finally:
        camera.close()
    return times


def raw_interpreter(interpreter: Interpreter) -> Any:
    """The runtime's own object behind our Protocol, allocated, its input set."""
    return interpreter._engine  # type: ignore[attr-defined]  # only a benchmark has business there


class _Watched:
    """An interpreter that notes when it began, the first time since `began` was 0, and when it ended."""

    def __init__(self, inner: Interpreter) -> None:
        self._inner = inner
        self.runtime, self.version, self.kind, self.threads = inner.runtime, inner.version, inner.kind, inner.threads
        self.input, self.output = inner.input, inner.output
        self.began = self.ended = 0.0

    def invoke(self, tensor: npt.NDArray[Any]) -> npt.NDArray[Any]:
        self.began = self.began or time.perf_counter()
        raw = self._inner.invoke(tensor)
        self.ended = time.perf_counter()
        return raw


@contextmanager
def mediapipe_classifier(model: Path | None) -> Iterator[Callable[[Pixels], object] | None]:
    """MediaPipe Tasks' ImageClassifier over a uint8 file with metadata: RGB pixels of any size to its result.

    None gives None. UsageError where MediaPipe refuses the file.
    """
    if model is None:
        yield None
        return
    import mediapipe
    from mediapipe.tasks.python import BaseOptions, vision

    options = vision.ImageClassifierOptions(base_options=BaseOptions(model_asset_buffer=model.read_bytes()))
    try:
        opened = vision.ImageClassifier.create_from_options(options)
    except (ValueError, RuntimeError) as error:
        raise UsageError(f"--mediapipe: {model}: MediaPipe refuses it: {' '.join(str(error).split())}") from error
    with opened as classifier:
        yield lambda pixels: classifier.classify(mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=pixels))


def peak_rss_mb() -> float:
    """Most memory this process has had resident, MB of 2^20 bytes.

    From VmHWM: `ru_maxrss` survives exec, so that a small process started by a large one would be called large.
    """
    try:
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    except OSError:
        pass
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
