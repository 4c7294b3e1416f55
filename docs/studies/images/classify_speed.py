"""`edge classify` of a folder on all cores and on one, beside a loop over OpenCV and the interpreter, in turns.

    python -m docs.studies.images.classify_speed run [--images DIR] --out FILE

Each contender is a fresh process over the same files; without DIR they are drawn fields of 1280x960 as JPEG. The loop
resizes by OpenCV's default and judges nothing but the network: no gates, no thresholds, no checks of files or bundle.
A machine that is busy with something else is not measured: the load before and after stands in the record.
"""

import hashlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
from msgspec import to_builtins

from docs.studies.command import Study, output, run
from edge.bundle.policy import shipped_bundles
from edge.cameras.synthetic.recipes import RECIPES
from edge.cameras.synthetic.smear import synthetic_fields
from edge.commands.command_line import Outcome
from edge.errors import DONE, MACHINE_LACKS
from edge.serving.serve import DEFAULT_BUNDLE
from edge.system.interleaved_timing import compare, interleaved, median
from edge.system.option_values import optional_path, whole_number
from edge.system.progress import tracked

MOST_LOAD = 0.5  # processes that want a core in the minute before

# What a user would write instead.
_LOOP = """
import sys
import cv2, numpy as np
from ai_edge_litert.interpreter import Interpreter
from pathlib import Path
cv2.setNumThreads(1)
interpreter = Interpreter(sys.argv[1], num_threads=1)
interpreter.allocate_tensors()
given, told = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
for path in sorted(Path(sys.argv[2]).iterdir()):
    pixels = cv2.resize(cv2.imread(str(path))[..., ::-1], (224, 224))
    interpreter.set_tensor(given["index"], (pixels.astype(np.int16) - 128).astype(np.int8)[None])
    interpreter.invoke()
    print(path, interpreter.get_tensor(told["index"]).argmax())
"""


@dataclass(frozen=True)
class ClassifyStudy(Study):
    """Time both ways over one folder of images; `images` None draws `fields` of them."""

    images: Path | None
    fields: int
    rounds: int

    def execute(self) -> Outcome:
        """Medians over the rounds, and ratios within them; code 4 where the machine was busy before."""
        if (before := os.getloadavg()[0]) > MOST_LOAD:
            return Outcome(MACHINE_LACKS, {}, f"the machine is busy (load {before:.2f}): nothing was measured")
        bundles = shipped_bundles()
        assert bundles is not None
        bundle = bundles / DEFAULT_BUNDLE
        with self._folder() as folder:
            count = sum(1 for _ in folder.iterdir())
            edge = [sys.executable, "-m", "edge.cli", "classify", str(folder), "--bundle", str(bundle), "--json"]
            calls: dict[str, Callable[[], object]] = {
                "loop": lambda: _ran([sys.executable, "-c", _LOOP, str(bundle / "model.tflite"), str(folder)]),
                "one job": lambda: _ran([*edge, "--jobs", "1"]),
                "all cores": lambda: _ran(edge),
            }
            before = os.getloadavg()[0]
            times = interleaved(calls, self.rounds, warm_up=1)
        record: dict[str, Any] = {
            "bundle": bundle.name,
            "bundle_digest": hashlib.sha256((bundle / "manifest.json").read_bytes()).hexdigest(),
            "images": count,
            "cores": len(os.sched_getaffinity(0)),
            "rounds": self.rounds,
            "load": {"before": round(before, 2), "after": round(os.getloadavg()[0], 2)},
            "seconds": {name: round(median(values) / 1e3, 3) for name, values in times.items()},
            "loop_against": {
                name: to_builtins(compare(times["loop"], times[name])) for name in ("one job", "all cores")
            },
        }
        ratio = record["loop_against"]["all cores"]
        text = f"{count} images: {record['seconds']}; {ratio['ratio']:.2f} times the loop's speed"
        return self.finished(record, f"{text} ({ratio['ratio_low']:.2f} to {ratio['ratio_high']:.2f})", DONE)

    @contextmanager
    def _folder(self) -> Iterator[Path]:
        if self.images is not None:
            yield self.images
            return
        with tempfile.TemporaryDirectory() as name:
            for number in tracked(range(self.fields), "drawing fields"):
                [(_, frame)] = synthetic_fields(1, seed=number, size=(1280, 960), recipes=(_recipe(number),))
                cv2.imwrite(f"{name}/{number:05d}.jpg", frame[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 92])
            time.sleep(_CALM_S)  # the load of the drawing must not count
            yield Path(name)


_CALM_S = 60.0


def _recipe(number: int) -> str:
    return list(RECIPES)[number % len(RECIPES)]


def _ran(words: list[str]) -> None:
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def measure(
    images: str = "", fields: str = "1000", rounds: str = "7", out: str = "", json: bool = False
) -> ClassifyStudy:
    """Time `edge classify` of a folder beside a loop over OpenCV and the interpreter.

    Args:
        images: folder of images; drawn ones when left out.
        fields: how many to draw.
        rounds: repetitions, in turns.
        out: JSON to write.
        json: print the record as JSON.
    """
    return ClassifyStudy(
        optional_path(images),
        whole_number(fields, "--fields", at_least=1),
        whole_number(rounds, "--rounds", at_least=1),
        **output(out, json),
    )


if __name__ == "__main__":
    run({"run": measure})
