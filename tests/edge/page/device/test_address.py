"""Where the page is found: by name only where one is announced, by number always, with a code that a phone reads."""

import hashlib
import ssl
from pathlib import Path

import pytest

from edge.commands.page import PageRequest, page
from edge.page.device.address import address, qr_lines
from edge.settings.announced_name import UNIT, announced_name
from edge.settings.page import PageSettings

NUMBERS = ["192.168.4.1", "10.20.0.17", "fd00::17"]


@pytest.fixture
def announced(tmp_path: Path) -> Path:
    """The root of a machine that install.sh --mdns gave a name."""
    for name, text in (("etc/machine-id", "0123456789abcdef\n"), (UNIT, "")):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def test_all_addresses_are_told_by_number_and_the_name_where_it_is_announced(announced: Path, tmp_path: Path) -> None:
    settings = PageSettings(host="0.0.0.0", names=("bench.example.org", "192.0.2.7"))
    plain = address(settings, fingerprint="AB:CD", numbers=NUMBERS, root=tmp_path / "none")
    site = "https://bench.example.org:8443/"
    assert plain.urls == (site, "https://192.168.4.1:8443/", "https://10.20.0.17:8443/")
    named = address(settings, fingerprint="AB:CD", numbers=NUMBERS, root=announced)
    assert named.urls == (f"https://{announced_name(announced)}:8443/", *plain.urls)
    assert named.by_number == plain.by_number == "https://192.168.4.1:8443/"  # what the code says: names fail
    said = named.lines()
    assert said[0].startswith("bench page: https://leukoscope-") and any("AB:CD" in line for line in said)
    assert not any("certificate" in line for line in address(PageSettings(), root=announced).lines())


@pytest.mark.parametrize(
    ("host", "urls"),
    [
        ("127.0.0.1", ("http://127.0.0.1:8443/",)),
        ("::1", ("http://[::1]:8443/",)),
        ("10.20.0.17", ("https://10.20.0.17:8443/",)),
        ("::", ("https://192.168.4.1:8443/", "https://10.20.0.17:8443/", "https://[fd00::17]:8443/")),
    ],
)
def test_what_is_served_is_what_is_told(host: str, urls: tuple[str, ...], tmp_path: Path) -> None:
    assert address(PageSettings(host=host), numbers=NUMBERS, root=tmp_path).urls == urls


def test_without_any_network_the_machine_itself_is_told(tmp_path: Path) -> None:
    assert address(PageSettings(host="0.0.0.0"), numbers=[], root=tmp_path).urls == ("https://127.0.0.1:8443/",)


def test_the_code_reads_as_the_address() -> None:
    """By OpenCV's own reader, from the characters that a terminal shows: light blocks on dark ground."""
    import cv2
    import numpy as np

    url = "https://192.168.4.1:8443/"
    light = {" ": (0, 0), "\u2580": (1, 0), "\u2584": (0, 1), "\u2588": (1, 1)}
    rows = [[light[character] for character in line] for line in qr_lines(url)]
    modules = np.array([[half[n] for half in row] for row in rows for n in (0, 1)], np.uint8)
    shown = np.kron(modules, np.ones((8, 8), np.uint8)) * 255
    read, *_ = cv2.QRCodeDetector().detectAndDecode(shown)
    assert read == url


def test_the_command_tells_it_without_serving(tmp_path: Path) -> None:
    profile = tmp_path / "edge.toml"
    profile.write_text(
        f'[page]\nhost = "0.0.0.0"\nport = 9443\nfolder = "{tmp_path / "page"}"\nnames = ["bench.example.org"]\n'
    )
    told = page(config=str(profile), address=True).execute()
    assert told.code == 0 and told.text.splitlines()[0] == "bench page: https://bench.example.org:9443/"
    digest = hashlib.sha256(ssl.PEM_cert_to_DER_cert((tmp_path / "page/certificate.pem").read_text())).hexdigest()
    [said] = [line for line in told.text.splitlines() if line.startswith("certificate: SHA-256 ")]
    assert said.split()[-1].replace(":", "").lower() == digest
    alone = page(port="9443", address=True)
    assert isinstance(alone, PageRequest) and alone.settings.page.loopback and not alone.settings.page.tls
