"""The inventory of a device is complete and valid; a known vulnerability fails the audit, a silent service does not."""

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.schema import OutputFormat, SchemaVersion
from cyclonedx.validation import make_schemabased_validator

from tests.install import supply_chain
from tests.install.device_lock import locked

ADVISORY = {
    "id": "GHSA-test-0000-0000",
    "summary": "made up",
    "affected": [
        {
            "package": {"name": "fire", "ecosystem": "PyPI"},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "9.9.9"}]}],
        }
    ],
}


@pytest.fixture
def small_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two packages, one of them for one kind of device: the tools take as long as there are hashes."""
    lock = tmp_path / "device.lock"
    some = "0" * 64
    lock.write_text(
        f"fire==0.7.1 \\\n    --hash=sha256:{some}\n    # via leukoscope\n"
        f"numpy==1.26.4 ; python_full_version < '3.12' \\\n    --hash=sha256:{some}\n"
    )
    monkeypatch.setattr(supply_chain, "DEVICES", {"bookworm-aarch64": ("3.11", "aarch64")})
    return lock


@contextmanager
def service(advisories: dict[str, Any], status: int = 200) -> Iterator[tuple[str, list[str]]]:
    """A stand-in for OSV: package -> what it answers; and the packages it was asked about."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            query = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            asked.append(query["package"]["name"])
            body = json.dumps(advisories.get(asked[-1], {})).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1/query", asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.slow
def test_the_inventory_names_what_is_installed_and_validates(tmp_path: Path, small_lock: Path) -> None:
    [path] = supply_chain.sbom(tmp_path / "sbom", small_lock)
    validator = make_schemabased_validator(OutputFormat.JSON, SchemaVersion.V1_6)
    assert validator.validate_str(path.read_text()) is None
    assert validator.validate_str('{"bomFormat": "CycloneDX", "components": 3}') is not None  # it would say so
    document = json.loads(path.read_text())
    assert document["metadata"]["component"]["name"] == "leukoscope"
    assert {(each["name"], each["version"]) for each in document["components"]} == {
        ("fire", "0.7.1"),
        ("numpy", "1.26.4"),
    }


@pytest.mark.slow
def test_the_inventory_of_the_device_is_its_lock(tmp_path: Path) -> None:
    for path, (python, machine) in zip(supply_chain.sbom(tmp_path), supply_chain.DEVICES.values(), strict=True):
        document = json.loads(path.read_text())
        listed = {f"{each['name']}=={each['version']}" for each in document["components"]}
        assert listed == set(re.findall(r"^\S+==\S+", locked(python, machine), flags=re.MULTILINE))
        assert all(each["externalReferences"][0]["hashes"] for each in document["components"])


@pytest.mark.slow
def test_nothing_known_is_nothing_found(small_lock: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with service({}) as (url, asked):
        assert supply_chain.audit(url, small_lock) == 0
    assert set(asked) == {"fire", "numpy"}
    assert "audit: 2 packages of the device's lock, 0 vulnerable" in capsys.readouterr().out


def test_a_known_vulnerability_fails(small_lock: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with service({"fire": {"vulns": [ADVISORY]}}) as (url, _):
        assert supply_chain.audit(url, small_lock) == 1
    assert "fire 0.7.1 is known to be vulnerable: GHSA-test-0000-0000 (mended in 9.9.9)" in capsys.readouterr().err


def test_silence_is_said_and_tolerated(small_lock: Path, capsys: pytest.CaptureFixture[str]) -> None:
    nobody = "http://127.0.0.1:9/v1/query"
    assert supply_chain.audit(nobody, small_lock) == 0
    assert "no answer from the advisory service, nothing was audited" in capsys.readouterr().out


@pytest.mark.slow
def test_silence_can_be_made_an_error(small_lock: Path) -> None:
    assert supply_chain.audit("http://127.0.0.1:9/v1/query", small_lock, required=True) == 4
    with service({}, status=503) as (url, _):
        assert supply_chain.audit(url, small_lock) == 0


@pytest.mark.slow
def test_any_other_failure_fails(tmp_path: Path, small_lock: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A lock that pip-audit cannot read must not look like silence."""
    small_lock.write_text("fire\n")
    assert supply_chain.audit("http://127.0.0.1:9/v1/query", small_lock) == 1
    assert "pip-audit ended with" in capsys.readouterr().err
