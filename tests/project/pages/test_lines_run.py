"""Lines of the documents that no other test runs with these options, as a user types them."""

import json
import signal
from pathlib import Path

import pytest

from tests.commands import said_until, shell, started
from tests.laboratories import clean, write_site
from tests.paths import ROOT

pytestmark = pytest.mark.slow
BUNDLE = str(ROOT / "models" / "bundles" / "custom_cnn-int8")


def test_doctor_as_json(tmp_path: Path) -> None:
    done = shell("edge", "doctor", "--json", "--store", tmp_path / "record")
    assert done.returncode in (0, 4) and json.loads(done.stdout)


@pytest.mark.alone
def test_the_benchmark_with_its_figure_and_threads(tmp_path: Path) -> None:
    figure = tmp_path / "bench.png"
    words = ("--bundle", BUNDLE, "--allow-unsigned", "--frames", "20", "--threads", "2", "--figure", figure, "--json")
    done = shell("edge", "bench", *words, timeout=300)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["invoke_ms"] > 0 and figure.read_bytes().startswith(b"\x89PNG")


def test_an_audit_by_a_pattern_of_names(tmp_path: Path) -> None:
    site = write_site(tmp_path / "site", 3, clean(6, 2))
    for number, path in enumerate(sorted(site.rglob("*.png"))):
        path.rename(path.with_name(f"{path.parent.name}{number // 2}_{number % 2}.png"))
    (site / "fields.csv").unlink()
    done = shell("models", "audit", site, "--pattern", "{slide}_{field}.png", "--json", timeout=300)
    assert done.returncode in (0, 1), done.stderr
    assert "refusals" in json.loads(done.stdout)["site"]


def test_a_run_that_judges_every_frame_of_a_slide(tmp_path: Path) -> None:
    words = ("--camera", "sim:", "--slide", "S-0412", "--every", "--frames", "5", "--store", tmp_path / "record")
    done = shell("edge", "run", *words)
    assert done.returncode == 0 and "5 stored of 5 captured" in done.stdout


def test_the_page_of_a_record_and_a_socket(tmp_path: Path) -> None:
    profile = tmp_path / "edge.toml"
    profile.write_text(f'[page]\nfolder = "{tmp_path / "page"}"\n', encoding="utf-8")
    assert shell("edge", "page", "--first-secret", "--config", profile).returncode == 0
    words = ("--store", tmp_path / "record", "--socket", tmp_path / "i.sock", "--config", profile, "--port", "0")
    page = started("edge", "page", *words)
    assert "http://127.0.0.1:" in "".join(said_until(page, "http://127.0.0.1:"))
    page.send_signal(signal.SIGINT)
    page.communicate(timeout=60)
    assert page.returncode == 0
