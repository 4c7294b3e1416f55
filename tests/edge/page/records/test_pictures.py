"""Smaller images in memory: by what they show, and bounded."""

from pathlib import Path

from edge.page.records.pictures import Pictures, image_of, tag
from edge.record.store import Store


def test_what_was_made_smaller_is_kept_until_there_is_too_much(small_record: Path) -> None:
    with Store.open(small_record, read_only=True) as store:
        images = [image_of(store, "S-00005", field) for field in range(1, 30)]
        size = len(Pictures(10**6).get(store, images[0], 40).data)
        pictures = Pictures(5 * size)
        first = pictures.get(store, images[0], 40)
        assert pictures.get(store, images[0], 40) is first and pictures.get(store, images[0], 41) is not first
        for image in images:
            pictures.get(store, image, 40)
            assert pictures.held <= 5 * size
        assert pictures.get(store, images[0], 40) is not first
        none = Pictures(0)
        assert none.get(store, images[0], 40).data == first.data and none.held == 0


def test_a_tag_names_file_and_width(small_record: Path) -> None:
    with Store.open(small_record, read_only=True) as store:
        image = image_of(store, "S-00005", 1)
    assert len({tag(image, None), tag(image, 40), tag(image, 41)}) == 3
