"""`edge export`: a folder that stands alone, whole or not at all."""

import csv
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from edge.commands.command_line import main
from edge.commands.records import export as export_command
from edge.record.chain import canonical
from edge.record.entries import Event
from edge.record.exports import export as exports
from edge.record.store import Store
from tests.edge.record.records import INFO, NOON, PNG, ask, fill, tamper, verdict

FILES = ["README.txt", "SHA256SUMS", "chain.json", "record.jsonl", "verdicts.csv"]


def command(slide: str = "", to: str = "", store: str = "", json: bool = False) -> Any:
    return export_command.export(slide=slide, to=to, store=store, json=json)


def run(*words: object) -> int:
    return main("edge", {"export": command}, ["export", *map(str, words)])


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "verdicts.csv").open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def entries(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "record.jsonl").read_text(encoding="utf-8").splitlines()]


def test_an_export_stands_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record, to = tmp_path / "record", tmp_path / "new/S-1"
    to.parent.mkdir()
    fill(record, 5)
    fill(record, 3, info=replace(INFO, slide="other"))
    stored = fill(record, 2)
    assert run("--store", record, "--slide", "S-1", "--to", to, "--json") == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["verdicts"], said["images"], said["sound"]) == (7, 7, True)
    assert sorted(p.name for p in to.iterdir() if p.is_file()) == FILES
    checked = subprocess.run(["sha256sum", "-c", "SHA256SUMS"], cwd=to, capture_output=True, text=True, check=False)
    assert checked.returncode == 0 and checked.stdout.count(": OK") == 7 + 4
    table = rows(to)
    assert [row["field"] for row in table] == [str(n) for n in range(1, 8)]
    assert table[0]["probability_Benign"] == "0.00390625" and float(table[0]["gate_out_of_focus"]) == 0.1
    assert (table[2]["label"], table[2]["reason"], table[2]["probability_Pre"]) == ("", "out_of_focus", "")
    assert (table[0]["simulated"], table[0]["kind"], table[0]["bundle_digest"]) == (
        "true",
        "xnnpack",
        INFO.bundle_digest,
    )
    assert (to / table[6]["image"]).read_bytes() == PNG + b"\1" and table[6]["digest"] == stored[-1].digest
    lines = entries(to)
    assert [line["entry"]["type"] for line in lines].count("verdict") == 7
    assert {line["entry"]["slide"] for line in lines} == {"S-1"}
    assert all(canonical(line["entry"]) in text for line, text in zip(lines, (to / "record.jsonl").open(), strict=True))
    head = json.loads((to / "chain.json").read_text())["head"]
    assert ask(record, "SELECT digest FROM entries WHERE id = ?", head["id"]) == [(head["digest"],)]
    readme = (to / "README.txt").read_text()
    assert "Research use only" in readme and "SIMULATED" in readme and head["digest"] in readme
    assert ask(record, "SELECT slide, through FROM exports") == [("S-1", head["id"])]
    assert list((tmp_path / "new").iterdir()) == [to]  # nothing unfinished beside it


def test_a_changed_export_does_not_pass_its_sums(tmp_path: Path) -> None:
    fill(tmp_path / "record")
    assert run("--store", tmp_path / "record", "--slide", "S-1", "--to", tmp_path / "to") == 0
    path = tmp_path / "to/verdicts.csv"
    path.write_text(path.read_text().replace("Pre", "Benign", 1))
    words = ["sha256sum", "-c", "--quiet", "SHA256SUMS"]
    assert subprocess.run(words, cwd=tmp_path / "to", capture_output=True, check=False).returncode == 1


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@x", "\t=1", "\r=1", "=cmd|'/c calc'!A0"])
def test_no_cell_is_a_formula(text: str, tmp_path: Path) -> None:
    record, to = tmp_path / "record", tmp_path / "to"
    labels = (text, 'b, "quoted"\nand broken')
    with Store.open(record) as store:
        number = store.begin(replace(INFO, slide="1E5", camera=text, labels=labels), NOON)
        entry = verdict(0, source=text, probabilities=(0.25, 0.75), gates={text: -1.5}, label=labels[1])
        store.write(number, [entry, verdict(2, reason=text, detail="\udcff\0")], [Event(NOON, text, text)])
    assert run("--store", record, "--slide", "1E5", "--to", to) == 0
    (first, second), line = rows(to), entries(to)[2]["entry"]
    for cell in [*first, *first.values(), *second.values()]:
        assert not cell.startswith(("=", "+", "@", "\t", "\r")) and (cell == "-1.5" or not cell.startswith("-"))
    assert first["source"] == "'" + text and first[f"probability_{labels[1]}"] == "0.75" and first["label"] == labels[1]
    assert second["detail"] == "\\udcff\\0"
    assert (line["source"], line["slide"]) == (text, "1E5")  # the record itself is not touched


def test_what_cannot_be_exported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record, full = tmp_path / "record", tmp_path / "full"
    fill(record)
    full.mkdir()
    (full / "x").write_text("mine")
    (tmp_path / "link").symlink_to(tmp_path)
    for words, said in (
        (["--store", record, "--slide", "S-2", "--to", tmp_path / "to"], "did you mean S-1?"),
        (["--store", record, "--slide", "../S-1", "--to", tmp_path / "to"], "--slide must be"),
        (["--store", record, "--slide", "S-1", "--to", full], "new or an empty folder"),
        (["--store", record, "--slide", "S-1", "--to", tmp_path / "link"], "new or an empty folder"),
        (["--store", record, "--slide", "S-1", "--to", full / "x"], "new or an empty folder"),
        (["--store", record, "--slide", "S-1", "--to", record / "images/to"], "outside the record"),
        (["--store", tmp_path / "none", "--slide", "S-1", "--to", tmp_path / "to"], "no record here"),
        (["--store", record, "--slide", "S-1"], "needs --to"),
    ):
        assert run(*words) == 2
        assert said in capsys.readouterr().err
    assert (full / "x").read_text() == "mine" and not (tmp_path / "to").exists()
    assert ask(record, "SELECT * FROM exports") == []


def test_an_empty_folder_is_filled(tmp_path: Path) -> None:
    fill(tmp_path / "record")
    (tmp_path / "to").mkdir()
    assert run("--store", tmp_path / "record", "--slide", "S-1", "--to", tmp_path / "to") == 0
    assert len(rows(tmp_path / "to")) == 9


def test_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(tmp_path / "record")

    def full(*anything: object) -> None:
        raise OSError(28, "No space left on device", "verdicts.csv")

    monkeypatch.setattr(exports, "write_verdicts", full)
    assert run("--store", tmp_path / "record", "--slide", "S-1", "--to", tmp_path / "to") == 4
    assert [p.name for p in tmp_path.iterdir()] == ["record"]
    assert ask(tmp_path / "record", "SELECT * FROM exports") == []


def test_a_damaged_record_is_exported_as_such_and_not_marked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record = tmp_path / "record"
    fill(record)
    tamper(record, "UPDATE entries SET body = replace(body, '\"Pre\"', '\"Pro\"') WHERE id = 6")
    (record / "images/S-1/000/000002.png").write_bytes(b"other")
    (record / "images/S-1/000/000003.png").unlink()
    assert run("--store", record, "--slide", "S-1", "--to", tmp_path / "to") == 1
    said = capsys.readouterr().out
    for problem in ("entry 6 was altered", "000002.png: was altered", "000003.png: No such file"):
        assert problem in said and problem in (tmp_path / "to/README.txt").read_text()
    assert len(list((tmp_path / "to/images/000").iterdir())) == 7
    assert json.loads((tmp_path / "to/chain.json").read_text())["sound"] is False
    assert ask(record, "SELECT * FROM exports") == []


def test_export_while_a_run_goes_on(tmp_path: Path) -> None:
    with Store.open(tmp_path / "record") as store:
        number = store.begin(INFO, NOON)
        store.write(number, [verdict(0, PNG), verdict(1)])
        assert run("--store", tmp_path / "record", "--slide", "S-1", "--to", tmp_path / "to") == 0
        store.write(number, [verdict(2)])
        assert store.exported() == {"S-1": 3}
    assert len(rows(tmp_path / "to")) == 2
