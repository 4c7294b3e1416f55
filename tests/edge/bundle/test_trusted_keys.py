"""The folder of trusted keys: what may be in it, who may write it, and what a key is."""

import base64
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from edge.bundle import trusted as trusted_module
from edge.bundle.keys import PublicKey
from edge.bundle.trusted import MOST_FILES, TrustedKeys
from edge.errors import KeyFileError, TrustError
from edge.system.strict_json import read_object
from tests.signing import NOON, VERSION, trusted_folder


def test_the_default_folder_may_be_missing_or_empty_and_a_named_one_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trusted_module, "DEFAULT_KEYS", tmp_path / "trusted")
    assert not TrustedKeys.load().held
    (tmp_path / "trusted").mkdir()
    (tmp_path / "trusted" / ".gitkeep").touch()
    assert not TrustedKeys.load().held
    with pytest.raises(TrustError, match="holds no key"):
        TrustedKeys.load(tmp_path / "trusted")
    with pytest.raises(TrustError, match=r"nowhere: No such file"):
        TrustedKeys.load(tmp_path / "nowhere")
    (tmp_path / "file").touch()
    monkeypatch.setattr(trusted_module, "DEFAULT_KEYS", tmp_path / "file")
    with pytest.raises(TrustError, match="Not a directory"):
        TrustedKeys.load()
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    monkeypatch.setattr(trusted_module, "DEFAULT_KEYS", tmp_path / "dangling")
    with pytest.raises(TrustError, match="No such file"):  # somebody meant keys to be here
        TrustedKeys.load()


def rsa_pem() -> bytes:
    from cryptography.hazmat.primitives.asymmetric import rsa
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    key = rsa.generate_private_key(65537, 2048).public_key()
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


GARBAGE_PEM = b"-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA!!!!\n-----END PUBLIC KEY-----\n"


@pytest.mark.parametrize(
    ("name", "make", "said"),
    [
        ("x.pub", lambda keys: b"", "one public key in PEM and nothing else"),
        ("x.pub", lambda keys: b"\0\xff" * 100, "one public key in PEM and nothing else"),
        ("x.pub", lambda keys: GARBAGE_PEM, "not a readable public key"),
        ("x.pub", lambda keys: (keys / "officer.key").read_bytes(), "a private key, where the public one is expected"),
        ("x.pub", lambda keys: (keys / "officer.pub").read_bytes() * 2, "one public key in PEM and nothing else"),
        ("x.pub", lambda keys: b"hello\n" + (keys / "officer.pub").read_bytes(), "one public key in PEM and nothing"),
        ("x.pub", lambda keys: (keys / "officer.pub").read_bytes()[:-40], "not a readable public key|in PEM"),
        ("x.pub", lambda keys: rsa_pem(), "must be an Ed25519 key; got RSAPublicKey"),
        ("x.pub", lambda keys: b"x" * 5000, "larger than 4096 bytes"),
        ("x.key", lambda keys: (keys / "officer.key").read_bytes(), "a private key must not be on a device"),
        ("officer.pem", lambda keys: (keys / "officer.pub").read_bytes(), "neither a key .NAME.pub. nor a revocation"),
        ("x.revoked", lambda keys: b"ab" * 32, r"line 1: must be `key` or `bundle` and 64 hexadecimal digits"),
        ("x.revoked", lambda keys: b"\nkey " + b"AB" * 32, "line 2: must be"),
        ("x.revoked", lambda keys: b"\xff\xfe", "not a text file"),
        ("x.revoked", lambda keys: b"#" * 300_000, "larger than"),
    ],
)
def test_a_bad_file_among_the_trusted_keys_is_named_and_nothing_runs(
    keys: Path, tmp_path: Path, name: str, make: Callable[[Path], bytes], said: str
) -> None:
    folder = trusted_folder(tmp_path / "trusted", keys, "officer")
    (folder / name).write_bytes(make(keys))
    with pytest.raises(TrustError, match=said) as caught:
        TrustedKeys.load(folder)
    assert str(caught.value).startswith(str(folder / name)) and "\n" not in str(caught.value)
    (folder / name).unlink()
    assert len(TrustedKeys.load(folder).keys) == 1


def test_folders_links_and_pipes_are_no_keys(keys: Path, tmp_path: Path) -> None:
    folder = trusted_folder(tmp_path / "trusted", keys, "officer")
    for make, said in (
        (lambda path: path.mkdir(), "is no regular file"),
        (lambda path: path.symlink_to(keys / "stranger.pub"), "is a link"),
        (os.mkfifo, "is no regular file"),
        (lambda path: path.symlink_to(tmp_path / "nowhere"), "No such file"),
    ):
        make(folder / "x.pub")
        with pytest.raises(TrustError, match=rf"x\.pub: {said}"):
            TrustedKeys.load(folder)
        (folder / "x.pub").rmdir() if (folder / "x.pub").is_dir() else (folder / "x.pub").unlink()


def test_too_many_files_are_not_read(keys: Path, tmp_path: Path) -> None:
    folder = trusted_folder(tmp_path / "trusted", keys, "officer")
    for number in range(MOST_FILES):
        (folder / f"{number}.revoked").touch()
    with pytest.raises(TrustError, match="holds more than 64 files"):
        TrustedKeys.load(folder)


def test_as_many_files_as_that_are_read_and_revocations_as_large(keys: Path, tmp_path: Path) -> None:
    folder = trusted_folder(tmp_path / "trusted", keys, "officer")
    for number in range(MOST_FILES - 1):
        (folder / f"{number}.revoked").touch()
    (folder / "0.revoked").write_bytes(b"#" * 256 * 1024)
    assert MOST_FILES == 64 and len(TrustedKeys.load(folder).keys) == 1
    (folder / "0.revoked").write_bytes(b"#" * (256 * 1024 + 1))
    with pytest.raises(TrustError, match="larger than"):
        TrustedKeys.load(folder)


def test_what_was_taken_back_is_read_to_the_last_line(keys: Path, tmp_path: Path) -> None:
    folder = trusted_folder(tmp_path / "trusted", keys, "officer", "successor")
    [gone] = [key.id for key in TrustedKeys.load(folder).keys.values() if key.name == "officer"]
    lines = ["# a comment", "", f"bundle {'ab' * 32}  # lost", f"bundle {'cd' * 32}", f"key\t{gone}"]
    (folder / "x.revoked").write_text("\n".join(lines))
    found = TrustedKeys.load(folder)
    assert [key.name for key in found.keys.values()] == ["successor"] and gone not in found.keys
    assert found.revoked_keys == {gone} and found.revoked_bundles == {"ab" * 32, "cd" * 32} and found.held
    (folder / "successor.pub").unlink()
    assert TrustedKeys.load(folder).keys == {} and TrustedKeys.load(folder).held


def test_who_else_may_write_there_is_told(keys: Path, tmp_path: Path) -> None:
    folder = trusted_folder(tmp_path / "trusted", keys, "officer")
    folder.chmod(0o755)
    (folder / "officer.pub").chmod(0o644)
    assert TrustedKeys.load(folder).warnings == ()
    (folder / "officer.pub").chmod(0o664)
    [warning] = TrustedKeys.load(folder).warnings
    assert warning.startswith(f"{folder / 'officer.pub'} can be written by others") and "chmod go-w" in warning
    folder.chmod(0o777)
    assert len(TrustedKeys.load(folder).warnings) == 2


def test_a_key_that_may_not_be_read_is_an_error_not_a_missing_key(keys: Path, tmp_path: Path) -> None:
    """As another user, since root may read everything."""
    folder = trusted_folder(tmp_path / "trusted", keys, "officer")
    (folder / "officer.pub").chmod(0)
    TrustedKeys.load(folder) if os.geteuid() == 0 else None
    for path in (tmp_path, *tmp_path.parents):
        if path.owner() == "root" and path.is_relative_to(Path("/tmp")) and path != Path("/tmp"):
            path.chmod(path.stat().st_mode | 0o055)
    assert _as_nobody(lambda: TrustedKeys.load(folder)) == f"TrustError: {folder / 'officer.pub'}: Permission denied"
    (folder / "officer.pub").chmod(0o644)
    assert _as_nobody(lambda: TrustedKeys.load(folder)) == "nothing was raised"
    folder.chmod(0)
    assert _as_nobody(lambda: TrustedKeys.load(folder)) == f"TrustError: {folder}: Permission denied"
    folder.chmod(0o755)


def _as_nobody(what: Callable[[], object]) -> str:
    """What a function raises when an unprivileged user calls it."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            if os.geteuid() == 0:
                os.setgroups([])
                os.setgid(65534)
                os.setuid(65534)
            what()
            os.write(writer, b"nothing was raised")
        except BaseException as error:
            os.write(writer, f"{type(error).__name__}: {error}".encode())
        finally:
            os._exit(0)
    os.close(writer)
    os.waitpid(child, 0)
    with os.fdopen(reader) as said:
        return said.read()


def test_one_key_under_two_names_is_one_key(keys: Path, tmp_path: Path) -> None:
    folder = trusted_folder(tmp_path / "trusted", keys, "officer")
    shutil.copy(folder / "officer.pub", folder / "again.pub")
    assert len(TrustedKeys.load(folder).keys) == 1


def test_the_key_id_is_the_sha256_of_the_raw_key(keys: Path) -> None:
    """By another tool's words: the last 32 bytes of the DER form (RFC 8410) are the key."""
    import hashlib

    pem = (keys / "officer.pub").read_text().splitlines()
    der = base64.b64decode("".join(pem[1:-1]))
    assert (
        PublicKey.from_pem((keys / "officer.pub").read_bytes(), "officer", "x").id
        == hashlib.sha256(der[-32:]).hexdigest()
    )


def test_keys_that_are_no_keys(keys: Path) -> None:
    with pytest.raises(KeyFileError, match="x: a private key"):
        PublicKey.from_pem((keys / "officer.key").read_bytes(), "x", "x")


def test_plain_json_is_for_any_error() -> None:
    assert read_object(b'{"a": 1.5}', "x", TrustError) == {"a": 1.5}
    with pytest.raises(TrustError, match="x: not plain JSON: Infinity is not JSON"):
        read_object(b'{"a": Infinity}', "x", TrustError)


def test_noon_is_the_version() -> None:
    from convert.signing.signing import version_of

    assert version_of(NOON) == VERSION
