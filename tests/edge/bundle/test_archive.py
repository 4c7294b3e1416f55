"""A bundle as one zip file: what is written, and what somebody else may have put into one."""

import io
import struct
import tracemalloc
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.bundle.archives.archive import read_zip, zip_bytes
from edge.bundle.archives.zip_directory import MOST_MEMBERS
from edge.bundle.files import FILE_LIMITS
from edge.errors import BundleError

LIMITS = {"manifest.json": 100, "model.tflite": 1000}
FILES = {"manifest.json": b"{}", "model.tflite": bytes(range(256))}


def zipped(*members: tuple[str | zipfile.ZipInfo, bytes], comment: bytes = b"", deflate: bool = False) -> bytes:
    stream = io.BytesIO()
    kind = zipfile.ZIP_DEFLATED if deflate else zipfile.ZIP_STORED
    with zipfile.ZipFile(stream, "w", kind) as archive:
        archive.comment = comment
        for name, data in members:
            archive.writestr(name, data)
    return stream.getvalue()


def info(name: str, *, mode: int = 0o100644, **fields: int) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name)
    entry.create_system, entry.external_attr = 3, mode << 16
    for field, value in fields.items():
        setattr(entry, field, value)
    return entry


def patched(data: bytes, at_local: int, at_central: int, value: bytes) -> bytes:
    """The same field of the first member in both of its headers."""
    changed = bytearray(data)
    for signature, offset in ((b"PK\3\4", at_local), (b"PK\1\2", at_central)):
        start = changed.index(signature) + offset
        changed[start : start + len(value)] = value
    return bytes(changed)


def test_what_is_written_is_read_and_is_the_same_everywhere() -> None:
    data = zip_bytes("tiny-int8", FILES)
    assert read_zip(data, "x.zip", LIMITS) == ("tiny-int8", FILES)
    assert data == zip_bytes("tiny-int8", dict(reversed(FILES.items())))
    with zipfile.ZipFile(io.BytesIO(data)) as archive:  # and any tool unpacks it
        assert archive.testzip() is None
        assert [entry.filename for entry in archive.infolist()] == ["tiny-int8/manifest.json", "tiny-int8/model.tflite"]


@pytest.mark.parametrize("deflate", [False, True])
@pytest.mark.parametrize("folder", ["", "tiny-int8/"])
def test_archives_of_other_tools_are_read(tmp_path: Path, folder: str, deflate: bool) -> None:
    """Compressed or not, with the folder's own entry or without files in a folder at all."""
    members = [(f"{folder}{name}", data) for name, data in FILES.items()]
    own: list[tuple[str | zipfile.ZipInfo, bytes]] = [(info(folder, mode=0o40755), b"")] if folder else []
    data = zipped(*own, *members, deflate=deflate)
    assert read_zip(data, "x.zip", LIMITS) == (folder.rstrip("/"), FILES)


LINK = 0o120777
ONE = ("manifest.json", b"{}")


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "not a zip file"),
        (b"PK\5\6", "not a zip file"),
        (b"hello " * 100, "not a zip file"),
        (zipped(), "holds no file"),
        (zipped(ONE) + b"\0", "not a zip file, or one with something behind its end"),
        (b"\0" + zipped(ONE), "something stands before it, or it was cut"),
        (zipped(ONE)[3:], "something stands before it, or it was cut"),
        (zipped(ONE, comment=b"hello"), "not a zip file, or one with something behind its end"),
        (zipped(("../manifest.json", b"")), r"'\.\./manifest\.json', which is no file of a bundle"),
        (zipped(("a/../manifest.json", b"")), "no file of a bundle"),
        (zipped(("/manifest.json", b"")), "no file of a bundle"),
        (zipped(("a/b/manifest.json", b"")), "no file of a bundle"),
        (zipped((".hidden/manifest.json", b"")), "no file of a bundle"),
        (zipped(("a\\manifest.json", b"")), "no file of a bundle"),
        (zipped(ONE, ("setup.py", b"")), "'setup.py', which is no file of a bundle"),
        (zipped(ONE, ("__MACOSX/", b"")), "no file of a bundle"),
        (zipped(ONE, ("evil/../", b"")), "no file of a bundle"),
        (zipped(("a/manifest.json", b""), ("b/model.tflite", b"")), "lie in several folders: 'a', 'b'"),
        (zipped(("a/manifest.json", b""), ("model.tflite", b"")), "lie in several folders"),
        (zipped((info("manifest.json", mode=LINK), b"/etc/shadow")), "is a link, or no regular file"),
        (zipped((info("manifest.json", mode=0o10644), b"")), "is a link, or no regular file"),
        (zipped((info("manifest.json/", mode=LINK), b"/etc")), "no file of a bundle"),
        (zipped(("manifest.json", b"x" * 101)), "unpacks to more than 100 bytes"),
        (patched(zipped(ONE), 6, 8, b"\1\0"), "encrypted, or packed otherwise"),
        (patched(zipped(ONE), 8, 10, b"\x0e\0"), "encrypted, or packed otherwise"),  # LZMA
        (patched(zipped(ONE), 14, 16, b"\0\0\0\0"), "not a readable zip file .Bad CRC"),
    ],
)
def test_what_no_bundle_has_is_refused_in_one_line(data: bytes, said: str) -> None:
    with pytest.raises(BundleError, match=said) as caught:
        read_zip(data, "x.zip", LIMITS)
    assert str(caught.value).startswith("x.zip: ") and "\n" not in str(caught.value)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_name_given_twice_is_refused() -> None:
    with pytest.raises(BundleError, match=r"holds 'manifest\.json' twice"):
        read_zip(zipped(ONE, ("manifest.json", b"other")), "x.zip", LIMITS)


def test_a_name_that_readers_see_differently_is_refused() -> None:
    data = zipped(("manifest.json.py", b""))
    with pytest.raises(BundleError, match=r"manifest\.json.x00py' twice, or under two names"):
        read_zip(data.replace(b".json.py", b".json\0py"), "x.zip", LIMITS)


def test_headers_that_contradict_the_directory_are_refused() -> None:
    data = zipped(ONE)
    changed = data.replace(b"manifest.json", b"manifest.exe_", 1)  # in the local header alone
    with pytest.raises(BundleError, match="not a readable zip file"):
        read_zip(changed, "x.zip", LIMITS)


def directory_of(members: int) -> bytes:
    """A directory of so many entries and nothing else, as the end record announces it."""
    entry = zipped(ONE)
    start, end = entry.index(b"PK\1\2"), entry.index(b"PK\5\6")
    directory = entry[start:end] * members
    count = min(members, 0xFFFE)
    return directory + struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, count, count, len(directory), 0, 0)


def test_a_directory_of_a_million_names_is_refused_before_it_is_read() -> None:
    data = directory_of(500_000)
    tracemalloc.start()
    try:
        with pytest.raises(BundleError, match="a bundle has fewer"):
            read_zip(data, "x.zip", LIMITS)
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()
    with pytest.raises(BundleError, match="a bundle has fewer"):
        read_zip(directory_of(MOST_MEMBERS + 1), "x.zip", LIMITS)


def test_an_archive_of_the_64_bit_kind_is_refused() -> None:
    """It could announce another directory than the one that was bounded."""
    data = zipped(ONE)
    end = data[-22:]
    locator = struct.pack("<4sLQL", b"PK\6\7", 0, 0, 1)
    size, offset = struct.unpack("<2L", end[12:20])
    end = end[:12] + struct.pack("<2L", size + len(locator), offset) + end[20:]
    with pytest.raises(BundleError, match="not a plain zip file: split, of the 64-bit kind"):
        read_zip(data[:-22] + locator + end, "x.zip", LIMITS)


@pytest.mark.parametrize("claim", [1, 100, 2**31])
def test_a_bomb_stops_at_the_limit_whatever_it_claims(claim: int) -> None:
    """64 MiB of zeros in 64 KiB, as a file that may hold 100 bytes."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("manifest.json", "w") as member:
        for _ in range(64):
            member.write(bytes(2**20))
    data = bytearray(stream.getvalue())
    at = data.index(b"PK\1\2") + 24
    data[at : at + 4] = struct.pack("<L", claim)
    tracemalloc.start()
    try:
        with pytest.raises(BundleError, match=r"unpacks to more than 100 bytes|Bad CRC|not the size"):
            read_zip(bytes(data), "x.zip", LIMITS)
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()


@given(st.data())
@settings(max_examples=300, deadline=None)
def test_whatever_is_done_to_an_archive_it_reads_as_files_or_is_refused(data: st.DataObject) -> None:
    damaged = bytearray(zip_bytes("tiny-int8", FILES))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(damaged) - 1))
        damaged[at] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(damaged)))
    for tried in (bytes(damaged), bytes(damaged[:cut])):
        try:
            folder, files = read_zip(tried, "x.zip", LIMITS)
        except BundleError as error:
            assert str(error).startswith("x.zip: ")
        else:
            assert set(files) <= set(LIMITS) and all(len(files[name]) <= LIMITS[name] for name in files)
            assert "/" not in folder and not folder.startswith(".")


def test_every_file_of_a_bundle_may_be_in_one() -> None:
    files = dict.fromkeys(FILE_LIMITS, b"x")
    assert read_zip(zip_bytes("a", files), "x.zip", FILE_LIMITS) == ("a", files)
    assert len(FILE_LIMITS) < MOST_MEMBERS
