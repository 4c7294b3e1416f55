"""A changed set-up is an event of the run that first uses it."""

from pathlib import Path

import pytest
from msgspec import UNSET
from msgspec.structs import replace

from edge.cameras.setup.set_up_camera import open_set_up
from edge.commissioning.camera.changes import setup_change
from tests.edge.cameras.setup.test_set_up_camera import SETUP, write
from tests.edge.record.records import INFO


@pytest.mark.parametrize(
    ("camera", "then", "said"),
    [
        ("sim:", SETUP.digest, ""),
        ("sim:", UNSET, f"sim:: set-up {SETUP.digest[:12]}; none at the run before"),
        ("sim:Pre", "ab" * 32, f"sim:: set-up {SETUP.digest[:12]}; abababababab at the run before"),
        ("uvc:0", "ab" * 32, ""),
    ],
)
def test_the_run_before_decides(tmp_path: Path, camera: str, then: str, said: str) -> None:
    set_up = open_set_up("sim:", write(tmp_path / "camera"))
    assert setup_change(set_up, replace(INFO, camera=camera, camera_setup=then)) == said
    assert setup_change(set_up, None) == ""


def test_a_set_up_that_is_gone_is_a_change_too() -> None:
    before = replace(INFO, camera="sim:", camera_setup="ab" * 32)
    assert setup_change(open_set_up("sim:", None), before) == "sim:: set-up none; abababababab at the run before"
    assert setup_change(open_set_up("sim:", None), replace(before, camera_setup=UNSET)) == ""
