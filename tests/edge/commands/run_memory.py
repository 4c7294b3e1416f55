"""What `edge run` holds in memory over a long run, and what `edge classify` of one image costs from a cold process.

    python -m tests.edge.commands.run_memory --frames 100000 --write docs/reference/run_memory.json

Starts the installed commands and reads /proc. Exits 1 when a run's memory grows or exceeds its limit.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import cv2

from edge.cameras.synthetic.smear import synthetic_fields

EDGE = Path(sys.executable).with_name("edge")
CAMERA = "sim:Pre?seed=7"
SETTLED = 0.1  # the part of the run after which memory must not grow
MOST_MB, MOST_GROWTH_MB, COLD_STARTS = 140.0, 4.0, 15


def long_run(frames: int, folder: Path) -> dict[str, Any]:
    """Memory of `edge run --every` over so many frames of 1280x960, sampled each half second."""
    words = ["--camera", CAMERA, "--every", "--keep", "none", "--frames", str(frames), "--store", str(folder)]
    held: list[tuple[int, float]] = []
    start = time.monotonic()
    with subprocess.Popen(
        [EDGE, "run", *words, "--json"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as running:
        assert running.stdout is not None
        due = 0.0
        for field, _ in enumerate(running.stdout, 1):
            if time.monotonic() >= due:
                held.append((field, _megabytes(running.pid, "VmRSS")))
                peak = _megabytes(running.pid, "VmHWM") or held[-1][1]
                due = time.monotonic() + 0.5
    seconds = time.monotonic() - start
    settled = [mb for field, mb in held if field >= SETTLED * frames and mb]
    return {
        "camera": CAMERA,
        "frames": frames,
        "exit_code": running.returncode,
        "frames_per_second": round(frames / seconds, 1),
        "rss_mb": {"settled": settled[0], "end": settled[-1], "highest": max(settled), "peak_ever": peak},
        "flat": settled[-1] - settled[0] <= MOST_GROWTH_MB,
        "within_limit": peak <= MOST_MB,
    }


def cold_starts(folder: Path) -> dict[str, Any]:
    """Wall time and peak memory of `edge classify one.jpg` in a process of its own."""
    image = folder / "one.jpg"
    cv2.imwrite(str(image), cv2.cvtColor(synthetic_fields(1, seed=3)[0][1], cv2.COLOR_RGB2BGR))
    seconds, peaks = [], []
    for _ in range(COLD_STARTS):
        start = time.monotonic()
        child = os.posix_spawn(
            EDGE,
            [str(EDGE), "classify", str(image)],
            os.environ,
            file_actions=[(os.POSIX_SPAWN_OPEN, fd, "/dev/null", os.O_WRONLY, 0) for fd in (1, 2)],
        )
        _, status, usage = os.wait4(child, 0)
        seconds.append(time.monotonic() - start)
        assert status == 0
        peaks.append(usage.ru_maxrss / 1024)
    return {
        "starts": COLD_STARTS,
        "seconds": {"median": round(statistics.median(seconds), 3), "longest": round(max(seconds), 3)},
        "peak_rss_mb": {"median": round(statistics.median(peaks), 1), "highest": round(max(peaks), 1)},
    }


def _megabytes(pid: int, name: str) -> float:
    """A figure of /proc/PID/status in MB of 2**20 bytes; 0 when the process has just ended."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0.0
    return next((round(int(line.split()[1]) / 1024, 1) for line in lines if line.startswith(name)), 0.0)


def main() -> int:
    parser = argparse.ArgumentParser(description="Memory of a long run, and cost of a cold start.")
    parser.add_argument("--frames", type=int, default=100_000)
    parser.add_argument("--write", type=Path)
    words = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        result = {
            "classify_one_image": cold_starts(Path(folder)),
            "run": long_run(words.frames, Path(folder) / "record"),
        }
    text = json.dumps(result, indent=2) + "\n"
    print(text)
    if words.write:
        words.write.write_text(text)
    return 0 if result["run"]["flat"] and result["run"]["within_limit"] and result["run"]["exit_code"] == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
