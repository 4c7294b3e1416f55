"""The evaluation page says what the records say, and nothing when they are of another network."""

import json
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace as replace_fields

from models.data.published import TRAINED, trained
from models.report.evaluation_page import evaluation_page
from models.report.model_records import FILES, ModelRecords, PageError
from models.report.requirements import requirements
from tests.edge.page.html.page_checks import check_page, scripted


def copy(folder: Path, to: Path) -> Path:
    to.mkdir()
    for path in folder.iterdir():
        if path.suffix in (".json", ".png") and path.is_file():
            (to / path.name).write_bytes(path.read_bytes())
    return to


def change(folder: Path, stem: str, **fields: Any) -> None:
    path = folder / f"{stem}.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))


class Outside(HTMLParser):
    """Collects every reference that leaves the page."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.tables = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tables += tag == "table"
        for name, value in attrs:
            if name in ("src", "href") and not str(value).startswith("data:"):
                self.found.append(str(value))


def test_the_shipped_networks_make_one_page_that_needs_nothing_else() -> None:
    networks = [ModelRecords.read(trained(name)) for name in TRAINED]
    html = evaluation_page(networks)
    page = Outside()
    page.feed(html)
    assert page.found == []
    assert page.tables > 2 * len(TRAINED)
    assert "Research use only" in html
    for each in networks:
        assert each.provenance["evaluation"].model_sha256 in html


def test_every_demand_on_the_shipped_networks_is_judged() -> None:
    for name in TRAINED:
        judged = requirements(ModelRecords.read(trained(name)))
        assert {"robustness", "counterfactuals", "abstention"}.isdisjoint({one.what for one in judged})
        assert sum(one.met is not None for one in judged) >= 12


def test_a_worse_record_misses_what_a_better_one_met(tmp_path: Path) -> None:
    folder = copy(trained("mobilenet_v2"), tmp_path / "network")
    robustness = json.loads((folder / "robustness.json").read_text())
    robustness["clean"]["float"]["accuracy"] = 0.9
    robustness["clean"]["float"]["malignant_to_benign"] = 3
    change(folder, "robustness", clean=robustness["clean"])
    judged = {one.what: one.met for one in requirements(ModelRecords.read(folder))}
    assert judged["accuracy on unaltered fields, float"] is False
    assert judged["malignant called Benign, unaltered fields, float"] is False


def test_what_was_not_measured_is_named_with_its_command(tmp_path: Path) -> None:
    folder = copy(trained("mobilenet_v2"), tmp_path / "network")
    for stem in ("abstention", "robustness"):
        (folder / f"{stem}.json").unlink(missing_ok=True)
    records = ModelRecords.read(folder)
    assert [one.met for one in requirements(records) if one.what == "abstention"] == [None]
    html = evaluation_page([records])
    assert "models evaluate mobilenet_v2 --abstention" in html
    assert "models evaluate mobilenet_v2 --corruptions" in html


def test_a_record_of_another_network_is_refused(tmp_path: Path) -> None:
    folder = copy(trained("mobilenet_v2"), tmp_path / "network")
    change(folder, "robustness", model_sha256="0" * 64)
    with pytest.raises(PageError, match=r"robustness\.json is about another network"):
        ModelRecords.read(folder)


@pytest.mark.parametrize("content", ["", "[1]", "{", '"text"'])
def test_a_damaged_record_is_refused_by_name(tmp_path: Path, content: str) -> None:
    folder = copy(trained("custom_cnn"), tmp_path / "network")
    (folder / "evaluation.json").write_text(content)
    with pytest.raises(PageError, match=r"evaluation\.json"):
        ModelRecords.read(folder)


def test_a_record_without_what_its_command_writes_is_refused(tmp_path: Path) -> None:
    folder = copy(trained("custom_cnn"), tmp_path / "network")
    change(folder, "evaluation", classes=None)
    with pytest.raises(PageError, match=r"evaluation\.json is not as `models evaluate NAME` writes it: .*\$\.classes"):
        evaluation_page([ModelRecords.read(folder)])


@pytest.mark.parametrize(
    ("stem", "fields"),
    [
        ("robustness", {"clean": {}}),
        ("counterfactuals", {"views": None}),
        ("abstention", {"fields": {"float": {}}}),
        ("decision", {"answer_from": 3}),
        ("explanations", {"groups": []}),
        ("training", {"network": "resnet"}),
    ],
)
def test_a_record_with_a_hole_is_refused_whichever_it_is(tmp_path: Path, stem: str, fields: dict[str, Any]) -> None:
    folder = copy(trained("mobilenet_v2"), tmp_path / "network")
    change(folder, stem, **fields)
    with pytest.raises(
        PageError, match=rf"{stem}\.json is not as `models [a-z]+ NAME.*` writes it: .*\$\.{next(iter(fields))}"
    ):
        evaluation_page([ModelRecords.read(folder)])


def test_a_missing_evaluation_names_the_command(tmp_path: Path) -> None:
    folder = copy(trained("custom_cnn"), tmp_path / "network")
    (folder / "evaluation.json").unlink()
    with pytest.raises(PageError, match="models evaluate NAME"):
        ModelRecords.read(folder)


def test_no_text_of_the_records_becomes_markup() -> None:
    named = (
        "classes",
        "corruptions",
        "answer_from",
        "refused_by",
        "answered",
        "versions",
        "groups",
        "schemes",
        "epochs",
    )
    networks = []
    for name in TRAINED:
        found = ModelRecords.read(trained(name))
        records = {stem: scripted(getattr(found, stem), (), named) for stem in FILES}
        records["training"] = replace_fields(records["training"], network=name)
        networks.append(replace(found, **records, provenance=scripted(found.provenance, (), named)))
    check_page(lambda: evaluation_page(networks))


def test_text_of_a_record_cannot_become_markup(tmp_path: Path) -> None:
    folder = copy(trained("custom_cnn"), tmp_path / "network")
    change(folder, "evaluation", versions={"<script>alert(1)</script>": "1"})
    html = evaluation_page([ModelRecords.read(folder)])
    assert "<script>" not in html
    assert "&lt;script&gt;" in html


def test_the_limits_of_the_gates_are_on_the_page(tmp_path: Path) -> None:
    folder = copy(trained("custom_cnn"), tmp_path / "custom_cnn")
    html = evaluation_page([ModelRecords.read(folder)])
    assert "at least 175 grey level" in html and "distance at most 12.07, " in html
    assert "Of 509 images that fitted nothing they refused" in html
    (folder / "gates.json").write_text("{}")
    with pytest.raises(PageError, match=r"gates\.json: format must be 1"):
        ModelRecords.read(folder)
    (folder / "gates.json").unlink()
    assert "When it is not asked" not in evaluation_page([ModelRecords.read(folder)])
