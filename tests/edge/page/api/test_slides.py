"""The routes on slides: history, one slide, and what is done to it."""

from fastapi.testclient import TestClient

KEY = "0123456789abcdef0123456789abcdef"


def test_the_history_comes_in_pieces_and_ends(client: TestClient) -> None:
    pieces, cursor = [], ""
    while True:
        piece = client.get("/api/v1/slides", params={"limit": 3, "cursor": cursor}).json()
        pieces.append([each["slide"] for each in piece["items"]])
        cursor = piece["next"]
        if cursor is None:
            break
    assert pieces == [["S-00007", "S-00006", "S-00005"], ["S-00004", "S-00003", "S-00002"], ["S-00001"]]
