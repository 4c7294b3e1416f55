"""The cost of the bench while nobody watches: processor time a frame, against a run that judges every frame.

    python -m docs.studies.slides.bench_cost run --out docs/reference/bench_cost.json

The same drawn frame of 1280x960 goes through the pipeline from memory, in alternate slices: judged each time, as
`edge run` does; with the bench's selector while no slide is open; and with one that is open, whose view stands still.
What ten watchers cost is measured over the socket with `edge bench` (decision 0041).
"""

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2

from docs.studies.command import Study, output, run
from edge.cameras.synthetic.smear import SyntheticSmear
from edge.commands.command_line import Outcome
from edge.diagnostics.benchmark.pipeline import Memory
from edge.inference.contract import Pixels
from edge.instrument.bench.seen import FieldMemory
from edge.instrument.bench.selector import FieldSelector
from edge.instrument.pipeline.pipeline import Pipeline
from edge.instrument.pipeline.recorder import Recorder
from edge.instrument.pipeline.selection import Look
from edge.record.entries import Entry, Event, Stored
from edge.record.image_sampling import ImageSampler
from edge.serving.serve import Served, serve
from edge.settings.model import ModelSettings
from edge.system.clock import Clock
from edge.system.progress import tracked

FRAMES, SLICES, SIZE = 300, 9, (1280, 960)


@dataclass(frozen=True, kw_only=True)
class CostStudy(Study):
    """Time frames with the model of a bundle."""

    bundle: Path

    def execute(self) -> Outcome:
        cv2.setNumThreads(1)
        served = serve(ModelSettings(self.bundle), allow_unsigned=True)
        frame = SyntheticSmear(1, "Early").field(0, 0, SIZE, 80.64 / SIZE[1]).frame
        ways: dict[str, Callable[[], FieldSelector | None]] = {
            "judged": lambda: None,
            "no slide": lambda: FieldSelector(0.1),
            "open slide": _of_open_slide,
        }
        found: dict[str, list[float]] = {name: [] for name in ways}
        for number in tracked(range(-1, SLICES), "slices"):
            for name in sorted(ways, reverse=number % 2 == 1):
                milliseconds = _milliseconds(served, frame, ways[name]())
                if number >= 0:
                    found[name].append(milliseconds)
        record: dict[str, Any] = {
            "frames": FRAMES,
            "size": SIZE,
            "cpu_ms_a_frame": {
                name: [round(value, 3) for value in (min(all_), statistics.median(all_), max(all_))]
                for name, all_ in found.items()
            },
            "choose_ms": round(_choose_ms(served, frame), 4),
        }
        return self.finished(record, "\n".join(f"{name}: {value}" for name, value in record.items()))


def main_run(*, bundle: str = "models/bundles/mobilenet_v2-int8", out: str = "", json: bool = False) -> CostStudy:
    """Measure processor time a frame.

    Args:
        bundle: folder of the model.
        out: file for the record.
        json: print it.
    """
    return CostStudy(**output(out, json), bundle=Path(bundle))


def _of_open_slide() -> FieldSelector:
    selector = FieldSelector(0.1)
    selector.automatic = True
    selector.judge_slide(FieldMemory(), judging=True)
    return selector


def _milliseconds(served: Served, frame: Pixels, selector: FieldSelector | None) -> float:
    """Processor time of this process a frame, milliseconds."""
    store = _Nowhere(selector)
    recorder = Recorder(store, 1, clock=Clock(), on_stored=store.told, on_state=_silent)
    pipeline = Pipeline(
        Memory(frame),
        served.gates,
        served.classifier,
        recorder,
        sampler=ImageSampler("none"),
        clock=Clock(),
        every=True,
        frames=FRAMES,
        selector=selector,
    )
    before = time.process_time()
    pipeline.start()
    pipeline.join(600)
    pipeline.wait_ended(10)
    return (time.process_time() - before) * 1e3 / FRAMES


def _choose_ms(served: Served, frame: Pixels) -> float:
    """Median time of the selector alone, milliseconds."""
    selector, prepared = _of_open_slide(), served.classifier.contract.prepare(frame)
    selector.automatic = False
    report, times = served.gates.check(prepared), []
    for number in range(500):
        at = Clock().now()
        start = time.perf_counter()
        selector.choose(Look(frame, prepared, report, at, number, at.monotonic_ns))
        times.append((time.perf_counter() - start) * 1e3)
    return statistics.median(times)


class _Nowhere:
    """A store that keeps nothing."""

    def __init__(self, selector: FieldSelector | None) -> None:
        self._selector, self._fields = selector, 0

    def write(self, run: int, entries: Sequence[Entry], events: Sequence[Event] = ()) -> list[Stored]:
        first = self._fields + 1
        self._fields += len(entries)
        return [Stored(first + n, "S", first + n, entry, None, "") for n, entry in enumerate(entries)]

    def told(self, stored: list[Stored]) -> None:
        if self._selector is not None:
            self._selector.stored(stored)


def _silent(_: object) -> None:
    return


if __name__ == "__main__":
    run({"run": main_run})
