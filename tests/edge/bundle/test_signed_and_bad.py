"""Bundles that a trusted key did sign, and that are refused all the same."""

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from convert.signing.keys import PrivateKey
from edge.errors import BundleError
from tests.edge.bundle.loading import refused
from tests.signing import resealed, sign_by_hand, trusted


def bomb() -> bytes:
    """An npz of two members that unpack to 10 GiB."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("inputs.npy", "outputs.npy"):
            with archive.open(name, "w", force_zip64=True) as member:
                for _ in range(5):
                    member.write(bytes(2**20))
    data = bytearray(stream.getvalue())
    return bytes(data)


def liar() -> bytes:
    """As `bomb`, and its directory claims one byte a member."""
    data = bytearray(bomb())
    at = data.index(b"PK\1\2")
    while at != -1:
        data[at + 24 : at + 28] = (1).to_bytes(4, "little")
        at = data.find(b"PK\1\2", at + 4)
    return bytes(data)


@pytest.mark.parametrize(
    "make", [lambda data: data[: len(data) // 2], lambda _: bomb(), lambda _: liar(), lambda _: b""]
)
def test_a_bad_golden_file_is_refused_though_it_is_signed(
    signed: Path, officer: PrivateKey, make: Callable[[bytes], bytes]
) -> None:
    resealed(signed, golden__npz=make((signed / "golden.npz").read_bytes()))
    sign_by_hand(signed, officer)
    refused(signed, trusted(officer), r"golden\.npz: ", BundleError)


@pytest.mark.parametrize("name", ["../../etc/cron.d/x", "/etc/passwd", "models/model.tflite", "model.tflite\0.py"])
def test_a_manifest_that_leads_out_of_the_bundle_is_refused_though_it_is_signed(
    signed: Path, officer: PrivateKey, name: str
) -> None:
    record = json.loads((signed / "manifest.json").read_text())
    record["files"][name] = {"sha256": "0" * 64, "size": 0}
    (signed / "manifest.json").write_text(json.dumps(record))
    sign_by_hand(signed, officer)
    refused(signed, trusted(officer), "which is no file of a bundle", BundleError)


def link_file(path: Path) -> None:
    (path / "labels.txt").rename(path.parent / "labels.txt")
    (path / "labels.txt").symlink_to("../labels.txt")


def link_signature(path: Path) -> None:
    (path / "manifest.sig").rename(path.parent / "manifest.sig")
    (path / "manifest.sig").symlink_to("../manifest.sig")


def unknown(path: Path) -> None:
    (path / "sitecustomize.py").write_text("")


def unlisted(path: Path) -> None:
    record = json.loads((path / "manifest.json").read_text())
    del record["files"]["report.html"]
    (path / "manifest.json").write_text(json.dumps(record))


def subfolder(path: Path) -> None:
    (path / "report.html").unlink()
    (path / "report.html").mkdir()


def huge(name: str) -> Callable[[Path], None]:
    def spoil(path: Path) -> None:
        with (path / name).open("ab") as stream:
            stream.truncate(2**33)

    return spoil


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (link_file, r"labels\.txt: is a link"),
        (link_signature, r"manifest\.sig: is a link"),
        (unknown, "'sitecustomize.py', which is no file of a bundle"),
        (unlisted, r"does not list report\.html"),
        (subfolder, r"report\.html: is no regular file"),
        (huge("manifest.json"), r"manifest\.json: larger than 65536 bytes"),
        (huge("manifest.sig"), r"manifest\.sig: larger than 4096 bytes"),
        (huge("golden.npz"), r"golden\.npz: altered: larger"),
    ],
)
def test_what_no_bundle_has_is_refused_though_it_is_signed(
    signed: Path, officer: PrivateKey, spoil: Callable[[Path], None], said: str
) -> None:
    spoil(signed)
    if spoil is unlisted:
        sign_by_hand(signed, officer)
    refused(signed, trusted(officer), said, BundleError)
    refused(signed, trusted(officer), said, BundleError, allow_unsigned=True)
