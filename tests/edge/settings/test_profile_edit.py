"""Values written into a profile: everything else stays, byte for byte, and the file is whole at any moment."""

import os
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.errors import SettingsError
from edge.settings.profile_edit import set_values, with_values

PROFILE = """# the lab's microscope
[model]
threads = 2

[camera]     # by the window
uri = "uvc:/dev/video0#1"   # a name with # in it
exposure_us = 8000   # measured by hand
colour_gains = [
    1.9,  # red
    1.6,
]
region = [0, 0, 2028, 1520]

[record]  # at the end
keep = "none"
"""
VALUES = {"exposure_us": 7043.1, "gain": 1.0, "colour_gains": (1.964, 1.755), "setup": Path("/etc/leukoscope/camera/x")}


def test_keys_are_set_in_their_place_and_the_rest_stays() -> None:
    edited = with_values(PROFILE, "camera", VALUES)
    assert edited == PROFILE.replace("exposure_us = 8000   #", "exposure_us = 7043.1   #").replace(
        "colour_gains = [\n    1.9,  # red\n    1.6,\n]", "colour_gains = [1.964, 1.755]"
    ).replace("1520]\n", '1520]\ngain = 1.0\nsetup = "/etc/leukoscope/camera/x"\n')
    assert with_values(edited, "camera", VALUES) == edited


def test_a_key_can_go() -> None:
    edited = with_values(PROFILE, "camera", {"colour_gains": None, "gain": None})
    assert tomllib.loads(edited)["camera"].keys() == {"uri", "exposure_us", "region"}


@pytest.mark.parametrize("text", ["", "# nothing yet\n", "[record]\nkeep = 'none'", '[record]\nkeep = "none"\n\n\n'])
def test_a_section_that_is_missing_is_made(text: str) -> None:
    edited = with_values(text, "camera", {"gain": 2.0})
    assert edited.endswith("[camera]\ngain = 2.0\n") and edited.startswith(text.rstrip())
    assert tomllib.loads(edited) == {**tomllib.loads(text), "camera": {"gain": 2.0}}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("camera = {uri = 'sim:'}\n", "must be written as a section"),
        ("camera.uri = 'sim:'\n", "must be written as a section"),
        ("[camera]\nuri = 'sim:\n", "not a TOML file"),
        ("[camera]\nnote = '''\ngain = 3\n'''\n", "a key a line"),
    ],
)
def test_what_cannot_be_edited_is_left_alone(text: str, said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        with_values(text, "camera", {"gain": 2.0})


@given(
    st.dictionaries(st.sampled_from(["uri", "gain", "still", "a-b"]), st.sampled_from([1, 2.5, True, "x # y", [1, 2]])),
    st.dictionaries(st.sampled_from(["gain", "still", "setup"]), st.sampled_from([1.5, False, "/x \\ y"]), min_size=1),
)
def test_what_is_read_back_is_what_was_and_what_was_set(before: dict[str, object], values: dict[str, object]) -> None:
    def written(value: object) -> str:
        return f'"{value}"' if isinstance(value, str) else str(value).lower()

    text = "[camera]\n" + "".join(f"{name} = {written(value)}  # {name}\n" for name, value in before.items()) + "[x]\n"
    edited = with_values(text, "camera", values)
    assert tomllib.loads(edited) == {"camera": {**before, **values}, "x": {}}
    for name in before:
        assert f"  # {name}\n" in edited


def test_the_file_keeps_owner_and_permissions(tmp_path: Path) -> None:
    path = tmp_path / "edge.toml"
    path.write_text(PROFILE)
    path.chmod(0o640)
    if os.geteuid() == 0:
        os.chown(path, 1234, 1235)
    before = path.stat()
    link = tmp_path / "link.toml"
    link.symlink_to(path)
    set_values(link, "camera", VALUES)
    after = path.stat()
    assert (after.st_mode, after.st_uid, after.st_gid) == (before.st_mode, before.st_uid, before.st_gid)
    assert link.is_symlink() and path.read_text() == with_values(PROFILE, "camera", VALUES)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["edge.toml", "link.toml"]


def test_a_file_that_cannot_be_replaced_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "edge.toml"
    path.write_text(PROFILE)

    def refuse(*args: object, **kwargs: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr("edge.settings.profile_edit.write_new", refuse)
    with pytest.raises(OSError, match=r"Read-only file system.*edge\.toml"):
        set_values(path, "camera", VALUES)
    assert path.read_text() == PROFILE
    assert [each.name for each in tmp_path.iterdir()] == ["edge.toml"]
