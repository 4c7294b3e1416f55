"""The record of a camera's set-up: what it holds, and its digest."""

import hashlib

import msgspec
import pytest

from edge.cameras.setup.camera_setup import CameraSetup, FlatFieldRecord, Reference, Scale

SETUP = CameraSetup(
    camera="sim:",
    at="2026-11-30T09:00:00Z",
    size=(64, 48),
    exposure_us=8000.0,
    gain=1.0,
    colour_gains=(1.9, 1.6),
    controls={"ExposureTime": 8000.0, "ColourGains": (1.9, 1.6)},
    flat_field=FlatFieldRecord(sha256="0" * 64, shift=8, frames=16, darkest=0.8),
    reference=Reference(brightness=230.0, white=(1.0, 1.0)),
)


def test_it_reads_back_as_it_was_written_and_leaves_out_what_is_not_there() -> None:
    text = SETUP.to_json()
    assert msgspec.json.decode(text, type=CameraSetup) == SETUP
    assert SETUP.digest == hashlib.sha256(text).hexdigest()
    assert b"scale" not in text and b"region" not in text


@pytest.mark.parametrize(
    "change",
    [
        {"exposure_us": 8001.0},
        {"at": "2026-11-30T09:00:01Z"},
        {"scale": Scale(method="micrometer", pixels=40.0, um_per_px=0.1875)},
        {"still": True},
    ],
)
def test_any_change_is_another_digest(change: dict[str, object]) -> None:
    assert msgspec.structs.replace(SETUP, **change).digest != SETUP.digest


def test_what_cannot_be_is_refused() -> None:
    for old, new in ((b'"gain": 1.0', b'"gain": 0.5'), (b'"shift": 8', b'"shift": 20'), (b'"size"', b'"sise"')):
        assert old in SETUP.to_json()
        with pytest.raises(msgspec.ValidationError):
            msgspec.json.decode(SETUP.to_json().replace(old, new), type=CameraSetup)
