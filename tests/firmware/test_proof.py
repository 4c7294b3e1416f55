"""firmware_scripts/proof.sh with stand-ins: the words it gives to `edge doctor`, and cuts of the power by SIGKILL."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.firmware.paper_roots import SCRIPTS, run

EDGE = Path(sys.executable).with_name("edge")
QUICK = {"LEUKOSCOPE_PROOF_RUN_S": "1", "LEUKOSCOPE_PROOF_AFTER_CUT_S": "1"}


@pytest.fixture
def edge(tmp_path: Path) -> Path:
    """The command, but for `doctor`: that writes down its words, copies the cuts, and ends with the code it is told."""
    program = tmp_path / "edge"
    program.write_text(
        f"""#!/bin/bash
[ "$1" = doctor ] || exec "{EDGE}" "$@"
printf '%s\\n' "$@" > "{tmp_path}/words"
while [ $# -gt 0 ]; do [ "$1" = --power-cuts ] && cp "$2" "{tmp_path}/counted"; shift; done
exit "${{DOCTOR_ENDS:-0}}"
"""
    )
    program.chmod(0o755)
    return program


def test_the_words_go_to_edge_doctor(tmp_path: Path, edge: Path) -> None:
    out = tmp_path / "board.json"
    told = run("proof.sh", "--out", out, "--edge", edge, "--seconds", 5, "--load-seconds", 9, "--allow-unsigned")
    assert (told.code, told.err) == (0, "") and told.out.endswith(f"done: {out}\n")
    words = (tmp_path / "words").read_text().split()
    assert words == ["doctor", "--proof", str(out), "--seconds", "5", "--load-seconds", "9", "--allow-unsigned"]


@pytest.mark.parametrize(("ends", "code"), [("4", 4), ("1", 1), ("70", 1)])
def test_what_edge_doctor_ends_with(tmp_path: Path, edge: Path, ends: str, code: int) -> None:
    told = run("proof.sh", "--out", tmp_path / "board.json", "--edge", edge, env={"DOCTOR_ENDS": ends})
    assert told.code == code
    assert ("ended with" in told.err) is (code == 1)


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ([], 2, "needs --out FILE"),
        (["--out", "/nowhere/board.json"], 2, "a folder that is there"),
        (["--out", "OUT", "--edge", "/nowhere/edge"], 4, "run install.sh first"),
        (["--out", "OUT", "--relay", "true", "--cuts", "no"], 2, "--cuts must be a whole number"),
        (["--resume", "--state", "/nowhere/state"], 2, "goes on with what --relay began"),
    ],
)
def test_requests_that_make_no_sense(tmp_path: Path, edge: Path, words: list[str], code: int, said: str) -> None:
    words = [str(tmp_path / "board.json") if word == "OUT" else word for word in words]
    told = run("proof.sh", *words, *([] if "--edge" in words else ["--edge", edge]))
    assert told.code == code and said in told.err and told.err.count("\n") == 1


def test_a_rehearsal_does_nothing(tmp_path: Path, edge: Path) -> None:
    state = tmp_path / "state"
    told = run("proof.sh", "--out", tmp_path / "b.json", "--edge", edge, "--relay", "x", "--state", state, "--dry-run")
    assert told.code == 0 and "would cut the power 10 times" in told.out
    assert not state.exists() and not (tmp_path / "words").exists()


@pytest.mark.slow
def test_power_is_cut_and_everything_printed_is_in_the_record(tmp_path: Path, edge: Path) -> None:
    """SIGKILL to the whole group stands in for the relay: the script, the run and its reader end at once."""
    state, out = tmp_path / "state", tmp_path / "board.json"
    words = ["--out", out, "--edge", edge, "--relay", "kill -9 0", "--cuts", "2", "--state", state]

    def until_the_cut(*words: object) -> subprocess.CompletedProcess[str]:
        command = [str(SCRIPTS / "proof.sh"), *map(str, words)]
        environment = {**os.environ, **QUICK}
        return subprocess.run(
            command, capture_output=True, text=True, check=False, env=environment, start_new_session=True
        )

    assert until_the_cut(*words).returncode == -9
    assert until_the_cut("--resume", "--state", state).returncode == -9
    told = until_the_cut("--resume", "--state", state)
    assert told.returncode == 0, told.stderr
    cuts = [json.loads(line) for line in (tmp_path / "counted").read_text().splitlines()]
    assert len(cuts) == 2 and not state.exists()
    for cut in cuts:
        assert cut["verify"] == 0 and 0 < cut["announced"] <= cut["stored"], cut


@pytest.mark.slow
def test_a_relay_that_cuts_nothing_is_said(tmp_path: Path, edge: Path) -> None:
    state = tmp_path / "state"
    told = run(
        "proof.sh",
        *("--out", tmp_path / "b.json", "--edge", edge, "--relay", "true", "--state", state),
        env=QUICK,
    )
    assert told.code == 1 and "nothing was cut" in told.err
    assert not (state / "cuts").exists()
