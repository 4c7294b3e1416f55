"""The documents say what is: commands that parse, links that lead somewhere, figures that come from the files."""

import importlib.util
import json
import re
from pathlib import Path

import pytest

import convert.commands.parity
import convert.commands.quantize
from convert.parity.policy import Policy
from edge.commands.command_line import _parse
from edge.commands.command_line import main as run
from edge.errors import UsageError
from models.commands import network_options
from models.data.published import bundles
from tests.paths import ROOT
from tests.project.pages import measured_targets
from tests.project.pages.command_lines import DOCUMENTS, Line, command_lines, fenced, words_of
from tests.project.pages.commands_reference import COMMANDS, PAGE, page
from tests.project.pages.commands_run import TABLE, Shape, shown

MEASUREMENTS = ROOT / "docs" / "reference" / "measurements.md"
# Hours of work, or made with the networks that ship next: their rows stand there before the files do.
NOT_YET_MEASURED: set[str] = set()


@pytest.fixture(autouse=True)
def placeholders_are_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Paths in the documents lead nowhere here: what looks at them while parsing is told that they do."""
    monkeypatch.setattr(network_options, "model_folder", lambda path: path)
    for command in (convert.commands.quantize, convert.commands.parity):
        monkeypatch.setattr(command, "named_policy", lambda *words: Policy.default())


@pytest.mark.parametrize("line", command_lines(), ids=str)
def test_commands_in_the_documents_are_understood(line: Line) -> None:
    name, words = words_of(line.text)
    assert _parse(name, COMMANDS[name], words) is not None or "--help" in words


def test_the_documents_show_commands() -> None:
    """The test above would pass over documents from which nothing was read."""
    shown = {words_of(line.text)[0] + " " + words_of(line.text)[1][0] for line in command_lines()}
    assert {"convert quantize", "convert inspect", "models train", "models fetch"} <= shown
    assert {f"edge {word}" for word in COMMANDS["edge"]} <= shown


def test_a_wrong_command_would_be_found() -> None:
    """Negative control."""
    [text] = fenced("```\n.venv/bin/convert quantize --int8 \\\n  x.keras --dta images  # comment\n```\n")
    name, words = words_of(text)
    with pytest.raises(UsageError, match="did you mean --data"):
        _parse(name, COMMANDS[name], words)


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_commands_named_in_a_sentence_exist(path: Path) -> None:
    prose = re.sub(r"^ *```.*?^ *```", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    for name, word, rest in re.findall(r"`(convert|models|edge) ([a-z-]+)([^`]*)`", prose):
        assert word in COMMANDS[name], f"{name} {word}"
        for option in re.findall(r"--([a-z0-9-]+)", rest):
            known = COMMANDS[name][word].__code__.co_varnames
            assert {option.replace("-", "_"), option.replace("-", "_") + "_"} & set(known), f"{name} {word} --{option}"


def links(path: Path) -> list[str]:
    text = re.sub(r"^ *```.*?^ *```", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    return [t for t in re.findall(r"\]\(([^)\s]+)\)", text) if not re.match(r"[a-z]+:", t)]


def anchors(path: Path) -> set[str]:
    """As GitHub makes them of headings."""
    headings = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(path: Path) -> None:
    broken = []
    for target in links(path):
        file, _, anchor = target.partition("#")
        there = path.parent / file if file else path
        if not there.exists() or (anchor and anchor not in anchors(there)):
            broken.append(target)
    assert not broken


def test_the_results_are_the_files(capsys: pytest.CaptureFixture[str]) -> None:
    if not bundles().is_dir():
        pytest.skip("models/bundles is not here yet: no certificates to take the figures from")
    code = run("convert", COMMANDS["convert"], ["summary", "--check", str(ROOT / "docs" / "reference" / "results.md")])
    assert code == 0, capsys.readouterr().err


def test_the_command_reference_is_current() -> None:
    """The snapshot of every help text; `python -m tests.project.pages.commands_reference --write` renews it."""
    assert PAGE.read_text(encoding="utf-8") == page()


def test_the_speeds_told_are_those_measured() -> None:
    """`python -m tests.project.pages.measured_targets --write` renews the table."""
    shown = measured_targets.table_in(measured_targets.PAGE.read_text(encoding="utf-8"))
    assert shown == measured_targets.targets()
    assert shown.count("\n| ") >= 5


def test_an_aim_that_is_missed_would_show(tmp_path: Path) -> None:
    """Negative control: the measured file, a hundredth beyond what was asked for, and just as asked for."""
    record = json.loads((measured_targets.REFERENCE / "bench.json").read_text())
    details = record["details"]
    for beyond, met in ((0.01, False), (0.0, True)):
        details["against_invoke"]["frame_224"]["ratio"] = 1.03 + beyond
        details["against_invoke"]["frame_1280x960"]["difference_ms"] = 1.0 + beyond
        details["against_mediapipe"]["frame_224"]["ratio"] = 0.85 + beyond
        details["against_mediapipe"]["frame_1280x960"]["ratio"] = 0.85 + beyond
        details["pipeline"]["ratio"] = 0.93 - beyond
        details["novelty_share"] = 0.10 + beyond
        assert [row.met for row in measured_targets.bench_rows(record)] == [met] * 6
    (tmp_path / "bench.json").write_text(json.dumps(record))
    cold = {"seconds": {"median": 0.7}, "peak_rss_mb": {"median": 121.0}}
    held = {"settled": 100.0, "end": 104.5, "highest": 104.5, "peak_ever": 120.0}
    running = {"frames": 100_000, "rss_mb": held, "flat": False}
    (tmp_path / "run_memory.json").write_text(json.dumps({"classify_one_image": cold, "run": running}))
    soak = {"counts": {"stored": 999}, "memory_mb": held, "frames": 1000, "asked_one_in": 10}
    soak |= {"counts_add_up": False, "memory_flat": True, "record_verifies": True}
    (tmp_path / "soak.json").write_text(json.dumps(soak))
    assert measured_targets.targets(tmp_path).count("| **no** |") == 3


def measurement_rows() -> list[tuple[str, str]]:
    """(command, file) columns of the table of measurements."""
    rows = re.findall(r"^\| (.+) \| (.+) \| (.+) \|$", MEASUREMENTS.read_text(encoding="utf-8"), re.MULTILINE)
    return [(command, file) for question, command, file in rows if question != "question"]


def test_every_measurement_has_its_file() -> None:
    """Those in build/ are the reader's own."""
    named = {name for _, file in measurement_rows() for name in re.findall(r"`((?:docs|models)/[^`]+)`", file)}
    assert len(named) > 10
    missing = {name for name in named if not list(ROOT.glob(name.replace("NAME", "*")))}
    assert missing <= NOT_YET_MEASURED


def test_modules_that_measure_exist_and_know_their_words() -> None:
    commands = [text for text, _ in measurement_rows() if "python -m" in text]
    assert len(commands) > 5
    for module, rest in re.findall(r"`python -m (\S+)([^`]*)`", " ".join(commands)):
        found = importlib.util.find_spec(module)
        assert found is not None and found.origin is not None, module
        source = Path(found.origin).read_text(encoding="utf-8")
        for option in re.findall(r"--([a-z-]+)", rest):
            known = rf'"--{option}"|\b{option.replace("-", "_")}: (?:str|bool)'
            assert re.search(known, source), f"{module} --{option}"
        for word in re.findall(r"^ ([a-z]+)\b", rest):
            assert f'"{word}": ' in source, f"{module} {word}"


# Lines that no test runs, by what stands in the way; the code behind them is run by other tests.
NOT_RUN = {
    "an Edge TPU, which no test machine has": ("--edgetpu usb", "--edgetpu pci", "--measure usb"),
    "hours of training with weights that are not in the tree": (
        "models train mobilenet_v2 ",
        "models cross-validate mobilenet_v2 ",
        "convert pareto mobilenet_v2 --data my_images --widths",
    ),
    "a uint8 file of the shipped network, minutes in the making: tests/edge/diagnostics/test_bench.py": (
        "--mediapipe",
    ),
}


def test_every_line_runs_in_a_test() -> None:
    """`python -m tests.project.pages.commands_run DIR` renews the table, from the log of a whole run."""
    run = json.loads(TABLE.read_text(encoding="utf-8"))
    lines = {shown(line) for line in command_lines()}
    lines -= {line for line in lines for named in NOT_RUN.values() for words in named if words in line}
    assert {line for line in lines if not run.get(line)} == set()
    for test in {test for line, test in run.items() if line in lines}:
        path, _, name = test.partition("::")
        function = name.rpartition("::")[2].partition("[")[0]
        assert f"def {function}(" in (ROOT / path).read_text(encoding="utf-8"), test


def test_a_line_that_no_test_runs_would_be_found() -> None:
    """Negative control: more options than any run had, and another command."""
    run = Shape.of("edge", ["verify", "--store", "record"])
    assert run.covers(Shape.of("edge", ["verify"]))
    assert not run.covers(Shape.of("edge", ["verify", "--json"]))
    assert not run.covers(Shape.of("edge", ["export", "--store", "record"]))
