"""The charts of a control slide under a lamp that differs from day to day and then dims, on the virtual microscope.

    python -m docs.studies.commissioning.control_chart write --out docs/images/control.png

Each control is one `edge control`; lamps are drawn by a seed.
"""

import random
import tempfile
from dataclasses import dataclass
from pathlib import Path

from docs.studies.command import run
from edge.cli import COMMANDS
from edge.commands.command_line import Outcome, main
from edge.errors import DONE
from edge.system.files import write_whole

LAMP, SPREAD, LOSS = 0.975, 0.003, 0.0018  # of a new lamp; standard deviation between days; part lost each day
STEADY, DIMMING = 20, 8  # controls
BUNDLE = Path(__file__).parents[3] / "models" / "bundles" / "custom_cnn-int8"


def lamps(seed: int = 15) -> list[float]:
    """The lamp at each control, of a new one."""
    chance = random.Random(seed)
    steady = [LAMP * (1 + chance.gauss(0, SPREAD)) for _ in range(STEADY)]
    return steady + [LAMP * (1 + chance.gauss(0, SPREAD / 2) - LOSS * day) for day in range(1, DIMMING + 1)]


@dataclass(frozen=True)
class ChartRequest:
    """Where the figure goes."""

    out: Path
    json: bool = False

    def execute(self) -> Outcome:
        """Take the controls, and draw them."""
        with tempfile.TemporaryDirectory() as folder:
            there = Path(folder)
            (there / "edge.toml").write_text("[camera]\nsize = [320, 240]\n")
            common = ["control", "--slide", "QC-1", "--store", folder, "--config", f"{there}/edge.toml"]
            more = ["--bundle", str(BUNDLE), "--allow-unsigned", "--seconds", "0", "--fields", "10"]
            codes = [main("edge", COMMANDS, [*common, *more, "--camera", _camera(lamp)]) for lamp in lamps()]
            main("edge", COMMANDS, [*common, "--history", "--out", f"{there}/charts"])
            write_whole(self.out, (there / "charts" / "control.png").read_bytes())
        first = codes.index(1) + 1 if 1 in codes else None
        return Outcome(DONE, {"controls": len(codes), "first_rejected": first}, f"first rejected: {first}")


def write(out: str) -> ChartRequest:
    """Draw the figure.

    Args:
        out: PNG file.
    """
    return ChartRequest(Path(out))


def _camera(lamp: float) -> str:
    return f"sim:Early?motion=0&focus_drift=0.6&empty=0&seed=2&lamp={lamp:.5f}"


if __name__ == "__main__":
    run({"write": write})
