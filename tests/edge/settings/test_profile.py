"""The device's profile: checked in full, in words a technician can act on."""

import json
import tomllib
from pathlib import Path

import pytest

from edge.cameras.base import CameraSettings
from edge.errors import SettingsError
from edge.settings import profile as settings
from edge.slides.settings import SlideSettings


def _parsed(text: str) -> settings.Settings:
    return settings.parse(tomllib.loads(text))


def test_the_profile_shown_in_the_documentation_is_valid():
    shown = (settings.__doc__ or "").split("```toml")[1].split("```")[0]
    read = _parsed(shown)
    assert read.camera_uri == "picamera2:0"
    asked = {"frame_rate": 10, "fourcc": "YUYV", "white_balance_k": 4600, "still": False, "frozen_after_s": 5}
    assert read.camera == CameraSettings(
        (1280, 960), exposure_us=8000, gain=1.5, colour_gains=(1.9, 1.6), region=(0, 0, 2028, 1520), **asked
    )
    assert {name for name in CameraSettings.__dataclass_fields__ if name not in shown} == set(), "every key is shown"
    assert read.camera_setup == Path("/etc/leukoscope/camera/...")
    assert read.model.bundle == Path("/srv/mobilenet_v2-int8")
    assert read.trust.keys == Path("/etc/leukoscope/trusted")
    assert read.slide == SlideSettings() and "[slide]" in shown
    assert (read.record.keep, read.record.commit_count, read.retention.days) == ("second", 32, 365)


def test_the_page_is_served_to_this_machine_alone_unless_the_profile_says_otherwise():
    page = _parsed("").page
    assert (page.host, page.port, page.loopback, page.tls) == ("127.0.0.1", 8443, True, False)
    for host, loopback in {"::1": True, "127.1.2.3": True, "localhost": True, "::": False, "10.42.0.1": False}.items():
        read = _parsed(f"[page]\nhost = '{host}'").page
        assert (read.loopback, read.tls) == (loopback, not loopback), host
    own = _parsed("[page]\ncertificate = '/c.pem'\nkey = '/k.pem'").page
    assert own.loopback and own.tls
    shown = _parsed((settings.__doc__ or "").split("```toml")[1].split("```")[0]).page
    assert {name for name in type(shown).__dataclass_fields__ if name not in (settings.__doc__ or "")} == set()


def test_what_a_profile_leaves_out_has_the_default():
    assert _parsed("[camera]\nuri = 'uvc:0'\n") == settings.Settings(camera_uri="uvc:0")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[camra]", "no section is called 'camra'; did you mean [camera]?"),
        ("[camera]\nexposure = 1", "no key of [camera] is called 'exposure'; did you mean exposure_us?"),
        ("[camera]\nzzz = 1", "no key of [camera] is called 'zzz'; there are "),
        ("camera = 3", "[camera] must be a section; got 3"),
        ("[camera]\nsize = 640", "camera.size must be a list in square brackets; got 640"),
        ("[camera]\nsize = [640]", "camera.size must be a list in square brackets of length 2; got [640]"),
        ("[camera]\nsize = [640, '480']", "camera.size[1] must be a whole number; got [640, '480']"),
        ("[camera]\nsize = [640, 4]", "[camera] size must be (width, height) in pixels, both 16..8192; got (640, 4)"),
        ("[camera]\nexposure_us = 100", "exposure_us and gain must be set together"),
        ("[camera]\nexposure_us = '8 ms'\ngain = 1", "camera.exposure_us must be a number; got '8 ms'"),
        ("[camera]\ntimeout_s = 0", "camera.timeout_s must be a number 0.1..60; got 0"),
        ("[camera]\nstill = 1", "camera.still must be true or false; got 1"),
        ("[camera]\nfourcc = 'MJPEG'", "fourcc must be four letters such as MJPG; got 'MJPEG'"),
        ("[camera]\nregion = [0, 0, 8, 8]", "region must be (x, y, width, height)"),
        ("[model]\nbundle = 'bundles/x'", "model.bundle must be a whole path, from / on; got 'bundles/x'"),
        ("[model]\nruntime = 'tflite'", "model.runtime must be one of litert, tflite_runtime, tf_lite"),
        ("[model]\nthreads = true", "model.threads must be a whole number 1..64; got True"),
        ("[record]\nkeep = 'all'", "record.keep must be one of every, second, none; got 'all'"),
        ("[record]\ncommit_count = 0", "record.commit_count must be a whole number 1..1024; got 0"),
        ("[retention]\ndays = nan", "retention.days must be a number"),
        (
            "[slide]\nrule = 'tenth-2'",
            "rule must be a rule for a slide's finding; got 'tenth-2'; did you mean tenth-1?",
        ),
        ("[slide]\nrule = 'zzz'", "got 'zzz'; there are tenth-1"),
        ("[slide]\nrule = 1", "slide.rule must be a text in quotes; got 1"),
        ("[slide]\nfields = 0", "slide.fields must be a whole number 1..10000; got 0"),
        ("[slide]\nwidth = 1.5", "slide.width must be a number above 0, at most 1; got 1.5"),
        ("[slide]\nwidht = 0.2", "no key of [slide] is called 'widht'; did you mean width?"),
        ("[gates]\noff = 'out_of_focus'", "gates.off must be a list"),
        ("[page]\nhost = 'lab-3'", "page.host must be an address of this machine, or localhost; got 'lab-3'"),
        ("[page]\nport = 70000", "page.port must be a whole number 0..65535; got 70000"),
        ("[page]\nport = '8443'", "page.port must be a whole number 0..65535; got '8443'"),
        ("[page]\nfolder = 'page'", "page.folder must be a whole path, from / on; got 'page'"),
        ("[page]\nkey = '/k.pem'", "page.certificate and page.key must be given together"),
        ("[page]\ncertificate = 'c.pem'", "page.certificate must be a whole path, from / on; got 'c.pem'"),
        ("[page]\nnames = 'bench'", "page.names must be a list of texts in square brackets; got 'bench'"),
        ("[page]\nidle_minutes = 0", "page.idle_minutes must be a number 1..1440; got 0"),
        ("[page]\nsession_hours = 1000", "page.session_hours must be a number 0.1..168; got 1000"),
        ("[page]\nsession = 1", "no key of [page] is called 'session'; did you mean session_hours?"),
    ],
)
def test_a_wrong_profile_is_refused_by_name(text, said):
    with pytest.raises(SettingsError) as refused:
        _parsed(text)
    assert said in str(refused.value)


@pytest.mark.parametrize(
    ("write", "said"),
    [
        (lambda path: path.mkdir(), "a folder, not a file"),
        (lambda path: path.write_bytes(b"\xff\xfe"), "not a TOML file"),
        (lambda path: path.write_text("[camera\n"), "not a TOML file"),
        (lambda path: path.write_text("[camera]\nuri = 1\n"), "camera.uri must be a text in quotes; got 1"),
        (lambda path: None, "No such file"),
    ],
)
def test_a_file_that_is_no_profile_is_named(tmp_path, write, said):
    path = tmp_path / "edge.toml"
    write(path)
    with pytest.raises(SettingsError, match=said) as refused:
        settings.load(path)
    assert str(path) in str(refused.value)
    assert refused.value.exit_code == 2


def test_without_a_profile_the_defaults_hold(tmp_path, monkeypatch):
    monkeypatch.setattr(settings, "DEFAULT_PROFILE", tmp_path / "none.toml")
    assert settings.load() == settings.Settings()


def test_the_record_of_a_run_can_hold_the_settings():
    record = _parsed("[model]\nbundle = '/b'\n[camera]\ncolour_gains = [1.5, 2]\n").as_record()
    assert json.loads(json.dumps(record)) == record
    assert (record["model"]["bundle"], record["camera"]["colour_gains"]) == ("/b", [1.5, 2])
