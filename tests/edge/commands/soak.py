"""A day of frames in fast-forward: drawn frames through gates, model and store; counts, memory, the record.

    python -m tests.edge.commands.soak --frames 1000000 --write docs/reference/soak.json

The model is asked about one frame in `--sample`; in between its last answer stands in. All else is what
`edge run` does. Exits 1 when the counts do not add up, memory grows, or the record does not verify.
"""

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

from edge.cameras.backends import open_camera
from edge.cameras.base import CameraSettings
from edge.cameras.supervised import SupervisedCamera
from edge.inference.classifier import Classifier, Verdict
from edge.inference.contract import Pixels
from edge.instrument.pipeline.pipeline import Pipeline
from edge.instrument.pipeline.recorder import Recorder
from edge.record.audit import verify
from edge.record.entries import RunInfo
from edge.record.image_sampling import ImageSampler
from edge.record.store import Store
from edge.serving.serve import serve
from edge.system.clock import Clock

CAMERA = "sim:Pre?seed=7&focus_drift=1.5&empty=0.05"
SETTLED = 0.1  # the part of the run after which memory must not grow
MOST_GROWTH_MB = 8.0


class Sampled:
    """A classifier asked about one frame in `sample`."""

    def __init__(self, classifier: Classifier, sample: int) -> None:
        self._classifier, self._sample, self._asked = classifier, sample, 0
        self.contract = classifier.contract
        self._last: Verdict | None = None

    def classify_prepared(self, pixels: Pixels) -> Verdict:
        if self._last is None or self._asked % self._sample == 0:
            self._last = self._classifier.classify_prepared(pixels)
        self._asked += 1
        return self._last


def soak(frames: int, sample: int, folder: Path) -> dict[str, object]:
    """Run `frames` drawn frames into a record under `folder`; what came of it."""
    served, clock = serve(), Clock()
    info = RunInfo(
        slide="soak",
        camera=CAMERA,
        simulated=True,
        bundle=served.bundle.name,
        bundle_digest=served.bundle.digest,
        certified=served.bundle.certified,
        runtime="sampled",
        runtime_version="-",
        kind=served.classifier.interpreter.kind,
        labels=served.bundle.contract.labels,
        software="soak",
        settings="{}",
    )
    start, memory, events = time.monotonic(), [], []
    with Store.open(folder) as store:
        run = store.begin(info, clock.now())
        recorder = Recorder(store, run, clock=clock, on_stored=lambda s: None, on_state=events.append)
        camera = SupervisedCamera(
            open_camera(CAMERA), CameraSettings(size=(224, 224)), on_event=lambda e: events.append(e.kind)
        )
        camera.start()
        pipeline = Pipeline(
            camera,
            served.gates,
            Sampled(served.classifier, sample),
            recorder,
            sampler=ImageSampler("none"),
            clock=clock,
            every=True,
            frames=frames,
        )
        pipeline.start()
        while not pipeline.join(1.0):
            memory.append((pipeline.counts.stored, resident_mb()))
            if len(memory) % 60 == 0:
                print(f"{pipeline.counts.stored} of {frames}, {memory[-1][1]:.0f} MB", file=sys.stderr, flush=True)
        memory.append((pipeline.counts.stored, resident_mb()))
        camera.close()
        counts = pipeline.counts
        store.end(run, clock.now(), counts.as_dict(), "complete")
    seconds = time.monotonic() - start
    report = verify(folder)
    settled = [mb for stored, mb in memory if stored >= SETTLED * frames] or [memory[-1][1]]
    return {
        "camera": CAMERA,
        "frames": frames,
        "asked_one_in": sample,
        "counts": counts.as_dict(),
        "counts_add_up": counts.add_up() and counts.stored == frames,
        "events": events,
        "seconds": round(seconds, 1),
        "frames_per_second": round(frames / seconds, 1),
        "memory_mb": {"settled": settled[0], "end": settled[-1], "highest": max(settled)},
        "memory_flat": settled[-1] - settled[0] <= MOST_GROWTH_MB,
        "record_verifies": report.sound,
        "record_mb": round(sum(p.stat().st_size for p in folder.rglob("*") if p.is_file()) / 2**20, 1),
    }


def resident_mb() -> float:
    """Memory this process holds, MB of 2**20 bytes, from /proc."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return round(pages * 4096 / 2**20, 1)


def main() -> int:
    parser = argparse.ArgumentParser(description="A day of frames in fast-forward.")
    parser.add_argument("--frames", type=int, default=1_000_000)
    parser.add_argument("--sample", type=int, default=100)
    parser.add_argument("--write", type=Path)
    words = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        result = soak(words.frames, words.sample, Path(folder) / "record")
    text = json.dumps(result, indent=2) + "\n"
    print(text)
    if words.write:
        words.write.write_text(text)
    return 0 if result["counts_add_up"] and result["memory_flat"] and result["record_verifies"] else 1


if __name__ == "__main__":
    sys.exit(main())
