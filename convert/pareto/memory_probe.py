"""The memory of one inference in its own process: `python -m convert.pareto.memory_probe FILE` prints JSON.

Run as a child, so that neither TensorFlow nor another model is counted; what `edge` itself imports is.
"""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np

from edge.diagnostics.benchmark.timing import peak_rss_mb
from edge.inference.runtime.interpreters import open_interpreter

TIMEOUT_S = 120


def peak_of(file: Path) -> float | None:
    """Peak resident memory, MB of 2^20 bytes, of a fresh process that loads `file` and runs it twice; None where
    that fails."""
    command = [sys.executable, "-m", "convert.pareto.memory_probe", str(file.resolve())]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=TIMEOUT_S)
        return round(float(json.loads(done.stdout)["peak_rss_mb"]), 1)
    except (OSError, subprocess.SubprocessError, ValueError, KeyError):
        return None


def main(file: Path) -> None:
    """Load, run (opening does it once), run again, tell the peak."""
    interpreter = open_interpreter(file)
    interpreter.invoke(np.zeros(interpreter.input.shape, interpreter.input.quantization.dtype))
    print(json.dumps({"peak_rss_mb": peak_rss_mb()}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
