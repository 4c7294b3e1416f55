"""The routes on a slide's fields: lists, one field, images, corrections."""

import base64
import hashlib
import json
import os
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from fastapi.testclient import TestClient
from msgspec import structs

from edge.inference.licence import NOT_LICENSED, SUSPICIOUS
from edge.page.app import create_app
from edge.page.http.config import PageConfig
from edge.record.entries import Entry
from edge.record.store import Store
from tests.edge.page.api.test_slides import KEY, problem
from tests.edge.page.conftest import BASE
from tests.edge.page.standin import StandInLink
from tests.edge.record.records import NOON
from tests.edge.slides.records import BENIGN, LABELS, SLIDES_INFO, bodies

SLIDE = "S-00005"
FIELDS = f"/api/v1/slides/{SLIDE}/fields"


def all_fields(client: TestClient, limit: int = 7, **asked: str) -> list[dict[str, object]]:
    found, cursor = [], ""
    while True:
        piece = client.get(FIELDS, params={"limit": limit, "cursor": cursor, **asked}).json()
        assert len(piece["items"]) <= limit
        found += piece["items"]
        if piece["next"] is None:
            return found
        cursor = piece["next"]


@pytest.fixture(scope="module")
def recorded(small_record: Path) -> list[dict[str, object]]:
    return [each for each in bodies(small_record, "verdict") if each["slide"] == SLIDE]


def test_fields_come_by_number_each_once(client: TestClient, recorded: list[dict[str, object]]) -> None:
    found = all_fields(client)
    assert [each["field"] for each in found] == list(range(1, 61))
    for name in ("label", "reason", "detail", "gates"):
        assert [each[name] for each in found] == [each[name] for each in recorded]
    assert [each["seen"] for each in found if each["seen"]] == [47]
    first = next(each for each in found if each["label"] == "Pre")
    assert first["probabilities"] == {label: 0.91 if label == "Pre" else 0.03 for label in LABELS}


def test_fields_are_chosen_by_label_and_by_reason(client: TestClient, recorded: list[dict[str, object]]) -> None:
    for name in ("label", "reason"):
        for value in {str(each[name]) for each in recorded if each[name]}:
            wanted = [each["field"] for each in recorded if each[name] == value]
            assert [each["field"] for each in all_fields(client, **{name: value})] == wanted
    assert all_fields(client, label="Basophil") == []
    assert problem(client.get(FIELDS, params={"label": "Pre", "reason": "dark"})) == (422, "label-or-reason")


def test_the_most_suspicious_come_first(client: TestClient, recorded: list[dict[str, object]]) -> None:
    found = all_fields(client, order="suspicious")
    assert sorted(each["field"] for each in found) == list(range(1, 61))
    other = [each["label"] is not None and each["label"] not in BENIGN for each in found]
    assert other == sorted(other, reverse=True) and any(other)
    assert found[-1]["label"] in BENIGN
    assert problem(client.get(FIELDS, params={"order": "random"})) == (422, "invalid-request")


def test_a_licence_that_withholds_benign_answers_is_kept_also_by_lists_and_cursors(tmp_path: Path) -> None:
    """Neither a field nor the cursor of a list says a probability; of a run that withholds nothing, a field does."""
    probabilities = (0.8125, 0.0625, 0.0625, 0.0625)
    with Store.open(tmp_path) as store:
        run = store.begin(structs.replace(SLIDES_INFO, slide=SLIDE), NOON)
        answers = [(SUSPICIOUS, None)] * 3 + [(None, NOT_LICENSED)] * 3
        held = [Entry(NOON, 1, "", label, why, why and "held", probabilities, {}, {}, None) for label, why in answers]
        store.write(run, [*held, Entry(NOON, 1, "", "Pre", None, None, probabilities, {}, {}, None)])
    app = create_app(PageConfig(tmp_path, Path("/nowhere.sock"), demo=True), link=StandInLink())
    with TestClient(app, base_url=BASE) as client:
        given, cursor, told = [], "", ""
        while True:
            piece = client.get(FIELDS, params={"limit": 2, "order": "suspicious", "cursor": cursor}).json()
            given += piece["items"]
            if piece["next"] is None:
                break
            cursor = piece["next"]
            told += base64.urlsafe_b64decode(cursor + "===").decode()
        assert sorted(each["field"] for each in given) == list(range(1, 8))
        assert {each["field"] for each in given if each["probabilities"] is not None} == {7}
        assert "." not in told and "suspicious" in told
        with client.websocket_connect("ws://127.0.0.1/api/v1/live") as socket:
            socket.send_text('{"kind":"since","entry":0}')
            told = [json.loads(socket.receive_text()) for _ in range(10)]
        assert [each["probabilities"] is None for each in told if each["kind"] == "verdict"] == [True] * 6 + [False]


@pytest.mark.parametrize("order", ["number", "suspicious"])
def test_while_fields_arrive_none_comes_twice_and_none_of_before_is_left_out(tmp_path: Path, order: str) -> None:
    def entry(surely: float) -> Entry:
        rest = (1 - surely) / 3
        return Entry(NOON, 1, "", "Pre", None, None, (rest, rest, surely, rest), {}, {}, None)

    app = create_app(PageConfig(tmp_path, Path("/nowhere.sock"), demo=True), link=StandInLink())
    with Store.open(tmp_path) as store, TestClient(app, base_url=BASE) as client:
        run = store.begin(structs.replace(SLIDES_INFO, slide=SLIDE), NOON)
        store.write(run, [entry(0.5 + number / 100) for number in range(12)])
        given, cursor = [], ""
        for piece in range(100):
            answer = client.get(FIELDS, params={"limit": 4, "order": order, "cursor": cursor}).json()
            given += [each["field"] for each in answer["items"]]
            if answer["next"] is None:
                break
            cursor = answer["next"]
            if piece < 5:  # one before what was given, one behind it
                store.write(run, [entry(0.99 - piece / 1000), entry(0.3 + piece / 100)])
        assert len(given) == len(set(given)) and set(range(1, 13)) <= set(given)


def test_a_cursor_belongs_to_its_list(client: TestClient) -> None:
    cursor = client.get(FIELDS, params={"limit": 3, "order": "suspicious"}).json()["next"]
    assert problem(client.get(FIELDS, params={"cursor": cursor, "order": "number"})) == (422, "cursor")
    assert client.get(FIELDS, params={"cursor": cursor, "order": "suspicious"}).status_code == 200


@pytest.mark.parametrize("limit", [0, -1, 201, "x"])
def test_pieces_are_bounded(client: TestClient, limit: object) -> None:
    assert problem(client.get(FIELDS, params={"limit": str(limit)})) == (422, "invalid-request")


def test_a_field_tells_what_experts_said(client: TestClient) -> None:
    one = client.get(f"{FIELDS}/1").json()
    assert [each["by"] for each in one["corrections"]] == ["reader"]
    assert client.get(f"{FIELDS}/2").json()["corrections"] == []
    for number in (61, 2**52):
        assert problem(client.get(f"{FIELDS}/{number}")) == (404, "no-field")
    for number in ("0", "-1", "x", 2**64):
        assert problem(client.get(f"{FIELDS}/{number}")) == (422, "invalid-request")


def test_an_image_is_the_file_of_the_record(client: TestClient, small_record: Path) -> None:
    answer = client.get(f"{FIELDS}/7/image")
    data = (small_record / f"images/{SLIDE}/000/000007.png").read_bytes()
    assert answer.content == data and answer.headers["content-type"] == "image/png"
    assert answer.headers["etag"] == f'"{hashlib.sha256(data).hexdigest()}"'
    assert (
        answer.headers["cache-control"] == "private, no-cache" and answer.headers["x-content-type-options"] == "nosniff"
    )
    again = client.get(f"{FIELDS}/7/image", headers={"If-None-Match": answer.headers["etag"]})
    assert again.status_code == 304 and not again.content


def test_a_smaller_image_is_a_jpeg_of_it_and_never_a_larger_one(client: TestClient) -> None:
    whole = cv2.imdecode(np.frombuffer(client.get(f"{FIELDS}/7/image").content, np.uint8), 1)
    for width, shape in ((40, (30, 40, 3)), (4096, (60, 80, 3))):
        answer = client.get(f"{FIELDS}/7/image", params={"width": width})
        assert answer.headers["content-type"] == "image/jpeg"
        small = cv2.imdecode(np.frombuffer(answer.content, np.uint8), 1)
        wanted = cv2.resize(whole, (shape[1], shape[0]), interpolation=cv2.INTER_AREA)
        assert small.shape == shape and np.abs(small.astype(int) - wanted).mean() < 6
    for width in (0, 15, 4097, "x"):
        assert problem(client.get(f"{FIELDS}/7/image", params={"width": str(width)})) == (422, "invalid-request")


def test_images_that_are_gone_altered_or_links_are_not_served(small_record: Path, tmp_path: Path) -> None:
    """A link out of the record's folder is a file that is gone, whatever it points at."""
    shutil.copytree(small_record, tmp_path / "record")
    folder = tmp_path / "record" / "images" / SLIDE / "000"
    secret = tmp_path / "secret.png"
    secret.write_bytes((folder / "000003.png").read_bytes())
    (folder / "000001.png").unlink()
    (folder / "000002.png").write_bytes(b"\0" * (folder / "000002.png").stat().st_size)
    (folder / "000003.png").unlink()
    (folder / "000003.png").symlink_to(secret)
    (folder / "000004.png").unlink()
    os.mkfifo(folder / "000004.png")
    app = create_app(PageConfig(tmp_path / "record", Path("/nowhere.sock"), demo=True), link=StandInLink())
    with TestClient(app, base_url=BASE) as client:
        found = [problem(client.get(f"{FIELDS}/{number}/image"))[1] for number in (1, 2, 3, 4)]
        assert found == ["image-gone", "image-altered", "image-gone", "image-altered"]
        small = problem(client.get(f"{FIELDS}/2/image", params={"width": 40}))
        assert small == (409, "image-altered")
        shutil.move(folder, tmp_path / "moved")
        folder.symlink_to(tmp_path / "moved")
        assert problem(client.get(f"{FIELDS}/5/image")) == (404, "image-gone")


@pytest.mark.parametrize(
    "path", ["7/image/../../../../secret", "..%2f7/image", "7%2f..%2fimage", "7/image%00", "7/image/x"]
)
def test_no_path_leads_out(client: TestClient, path: str) -> None:
    answer = client.get(f"{FIELDS}/{path}")
    assert answer.status_code in (404, 422) and answer.headers["content-type"] == "application/problem+json"


def test_a_correction_is_given_with_who_and_what(client: TestClient, link: StandInLink) -> None:
    word = {"label": "Early", "agrees": False, "note": "<b>fine</b> chromatin"}
    answer = client.post(f"{FIELDS}/7/corrections", json=word, headers={"Idempotency-Key": KEY})
    assert answer.status_code == 201
    given = link.given[KEY]
    assert (given.name, given.by) == ("correct", "demo")
    assert given.arguments == {"slide": SLIDE, "field": 7, **word}


@pytest.mark.parametrize(
    "word",
    [{}, {"label": "Pre"}, {"agrees": True}, {"label": "x" * 65, "agrees": True}, {"label": "a\nb", "agrees": True},
     {"label": "a", "agrees": "perhaps"}, {"label": "a", "agrees": True, "note": "x" * 501},
     {"label": "a", "agrees": True, "note": "two\u2028lines"}],
)  # fmt: skip
def test_a_wrong_correction_is_given_to_nobody(client: TestClient, link: StandInLink, word: object) -> None:
    assert problem(client.post(f"{FIELDS}/7/corrections", json=word)) == (422, "invalid-request")
    assert link.given == {}
