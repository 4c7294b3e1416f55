"""docs/reference/boards.md from the files that firmware_scripts/proof.sh wrote.

    python -m docs.studies.boards.page write

One file a board in docs/reference/boards/, named after it. Nothing is said of a board without one.
"""

from dataclasses import dataclass
from pathlib import Path

from docs.studies.command import run
from edge.commands.command_line import Outcome
from edge.diagnostics.board import THROTTLED_BITS
from edge.diagnostics.proof.record import CameraProof, LoadProof, PowerCut, Proof, read_file
from edge.errors import DONE
from edge.system.files import write_whole

REFERENCE = Path(__file__).parents[2] / "reference"
_HEAD = """# Boards

What was measured on real boards, by [firmware_scripts/proof.sh](../../firmware_scripts/proof.sh), which whoever has a
board runs once:

```sh
sudo firmware_scripts/proof.sh --out "$HOME/board.json"
```

The file goes into `docs/reference/boards/`, named after the board; `python -m docs.studies.boards.page write` makes
this page of all of them. Nothing is claimed for a board without a file.
"""
_NONE = "\n**No board has been measured yet.**\n"


def page(folder: Path) -> str:
    """The page of the files in a folder; UsageError where one is no board's proof."""
    files = sorted(folder.glob("*.json"))
    return _HEAD + ("".join(_section(path.stem, read_file(path)) for path in files) if files else _NONE)


def _section(name: str, proof: Proof) -> str:
    board = proof.board
    model = board.model or "no Raspberry Pi (no device tree)"
    rows = [
        f"{board.memory_mib} MiB, {board.architecture}; {board.system}, Linux {board.kernel}, Python {board.python}; "
        f"record on {board.storage or 'an unknown disk'}",
        f"Leukoscope {proof.software}, {proof.taken}",
        _doctor(proof),
        *_speed(proof),
        *([_load(proof.load)] if proof.load else []),
        *(line for camera in proof.cameras for line in _camera(camera)),
        *([_cuts(proof.power_cuts)] if proof.power_cuts is not None else []),
        *(f"not measured: {line}" for line in proof.not_measured),
    ]
    return f"\n## {name}: {model}\n\n" + "\n".join(f"- {_plain(row)}" for row in rows) + "\n"


def _doctor(proof: Proof) -> str:
    wrong = [f"{each.name}: {each.found}" for each in proof.doctor if each.state in ("missing", "warning")]
    return "`edge doctor`: " + ("; ".join(wrong) if wrong else f"{len(proof.doctor)} findings, nothing wrong")


def _speed(proof: Proof) -> list[str]:
    lines = []
    for where, record in (("CPU", proof.bench), ("Edge TPU", proof.edgetpu)):
        if record is not None:
            lines.append(
                f"{where}: {record.bundle} on {record.runtime}, {record.threads} thread(s): "
                f"{record.invoke_ms:.2f} ms an inference, {record.frame_1280x960_ms:.2f} ms a frame of 1280x960, "
                f"pipeline {record.pipeline_fps:.1f} frames/s, {record.peak_rss_mb:.0f} MB"
            )
    return lines


def _load(load: LoadProof) -> str:
    whole, first, last = load.invoke_fps
    text = f"{load.seconds:.0f} s of inferences: {whole:.1f} a second ({first:.1f} at first, {last:.1f} at last)"
    if load.temperature_c is not None:
        text += "; {:.1f} C, at most {:.1f}, then {:.1f}".format(*load.temperature_c)
    if load.lowest_mhz is not None:
        text += f"; clock not below {load.lowest_mhz:.0f} MHz"
    if load.throttled_after is None:
        return f"{text}; the firmware does not say whether it throttled"
    said = ", ".join(word for bit, word in THROTTLED_BITS.items() if load.throttled_after >> bit & 1)
    return f"{text}; {said or 'no under-voltage, no throttling'}"


def _camera(camera: CameraProof) -> list[str]:
    asked = "{}x{}".format(*camera.asked)
    if camera.fps is None or camera.interval_ms is None:
        lines = [f"`{camera.uri}`, {asked}: {camera.error or 'no two frames'}"]
    else:
        middle, most, longest = camera.interval_ms
        lines = [
            f"`{camera.uri}`, {asked}: {camera.fps:.2f} frames/s of {camera.pixel_format} for {camera.seconds:.0f} s; "
            f"between two frames {middle:.1f} ms, 95 % within {most:.1f}, longest {longest:.1f}; "
            f"{camera.skipped} skipped, {camera.unusable} unusable"
        ]
    lines += [f"`{camera.uri}`: {text}" for text in (camera.field_of_view, *camera.adjusted) if text]
    if camera.modes:
        modes = ", ".join("{}x{}".format(*mode.size) + f" ({mode.fps:g}/s)" for mode in camera.modes)
        lines.append(f"`{camera.uri}`: sensor modes {modes}")
    return lines


def _cuts(cuts: tuple[PowerCut, ...]) -> str:
    lost, unsound = sum(cut.lost for cut in cuts), sum(cut.verify != 0 for cut in cuts)
    printed = max((cut.announced for cut in cuts), default=0)
    return (
        f"{len(cuts)} power cuts in a run: {lost} of {printed} printed verdicts lost, "
        f"{unsound} records that did not verify"
    )


def _plain(text: str) -> str:
    """A line of a file from elsewhere as text: no markup, no second line."""
    return " ".join(text.replace("<", "&lt;").replace("|", "/").split())


@dataclass(frozen=True)
class PageRequest:
    """Write the page."""

    json: bool = False

    def execute(self) -> Outcome:
        """Of the files that are there."""
        write_whole(REFERENCE / "boards.md", page(REFERENCE / "boards"))
        return Outcome(DONE, text=str(REFERENCE / "boards.md"), record={})


def write() -> PageRequest:
    """Write docs/reference/boards.md."""
    return PageRequest()


if __name__ == "__main__":
    run({"write": write})
