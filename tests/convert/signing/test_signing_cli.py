"""Keys made, bundles signed, verified and packed as a quality officer does it, and as it goes wrong."""

import json
import os
import re
import shlex
import shutil
import stat
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from convert.cli import COMMANDS
from convert.errors import SigningError
from convert.signing.keys import load_private
from convert.signing.signing import sign, version_of
from edge.bundle import bundle
from edge.bundle.archives.archive import read_zip
from edge.bundle.files import FILE_LIMITS
from edge.bundle.statement import LARGEST_VERSION
from edge.commands.command_line import main
from edge.settings.trusted_keys import machine_keys
from tests.commands import is_one_line, shell
from tests.edge.bundle.acceptances import accept
from tests.paths import ROOT
from tests.signing import NOON, SHIPPED, VERSION, make_key, resealed


def run(*words: object) -> int:
    return main("convert", COMMANDS, [str(word) for word in words])


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A bundle that nobody signed."""
    return Path(shutil.copytree(SHIPPED, tmp_path / SHIPPED.name))


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("keys")
    for name in ("officer", "successor"):
        make_key(folder, name)
    return folder


Said = pytest.CaptureFixture[str]


def failed(capsys: Said, said: str) -> None:
    captured = capsys.readouterr()
    assert captured.out == "" and is_one_line(captured.err), captured.err
    assert said in captured.err, captured.err


# --- keys


def test_a_pair_is_made_and_its_id_told(tmp_path: Path, capsys: Said) -> None:
    assert run("keygen", "officer-2026", "--to", tmp_path / "new", "--json") == 0
    captured = capsys.readouterr()
    record = json.loads(captured.out)
    key, public = Path(record["key"]), Path(record["public"])
    assert (key, public) == (tmp_path / "new" / "officer-2026.key", tmp_path / "new" / "officer-2026.pub")
    assert stat.S_IMODE(key.stat().st_mode) == 0o600 and not record["encrypted"]
    assert load_private(key, None).public.id == record["id"] and len(record["id"]) == 64
    assert "is not encrypted: who can read it can sign" in captured.err
    assert "PRIVATE" in key.read_text() and "PRIVATE" not in public.read_text()


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
def test_openssl_reads_both(tmp_path: Path) -> None:
    (tmp_path / "word").write_text("correct horse\n")
    assert run("keygen", "a", "--to", tmp_path, "--passphrase-file", tmp_path / "word") == 0
    words = ["openssl", "pkey", "-in", str(tmp_path / "a.key"), "-passin", f"file:{tmp_path / 'word'}", "-pubout"]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert done.stdout == (tmp_path / "a.pub").read_text()


@pytest.mark.parametrize("there", ["a.key", "a.pub"])
def test_a_key_is_never_overwritten(tmp_path: Path, capsys: Said, there: str) -> None:
    (tmp_path / there).write_text("precious")
    assert run("keygen", "a", "--to", tmp_path) == 2
    failed(capsys, "exists; a key is never overwritten")
    assert [path.name for path in tmp_path.iterdir()] == [there] and (tmp_path / there).read_text() == "precious"
    (tmp_path / there).unlink()
    (tmp_path / there).symlink_to(tmp_path / "elsewhere")
    assert run("keygen", "a", "--to", tmp_path) == 2
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize("name", ["../a", "a/b", "", "-a", ".a", "a b", "x" * 65])
def test_a_name_is_a_name(tmp_path: Path, name: str) -> None:
    assert run("keygen", f"./{name}" if name.startswith("-") else name, "--to", tmp_path) == 2
    assert list(tmp_path.iterdir()) == []


def test_half_a_pair_does_not_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, synced = os.fsync, list[int]()

    def full(descriptor: int) -> None:
        synced.append(descriptor)
        if len(synced) == 2:
            raise OSError(28, "No space left on device")
        real(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    assert run("keygen", "a", "--to", tmp_path) == 4
    assert len(synced) == 2 and list(tmp_path.iterdir()) == []


def test_passphrases(tmp_path: Path, copy: Path, capsys: Said, keys: Path) -> None:
    right, wrong, empty = tmp_path / "right", tmp_path / "wrong", tmp_path / "empty"
    right.write_bytes(b"correct horse\r\nsecond line\n")
    wrong.write_bytes(b"correct horse \n")
    empty.write_bytes(b"\nx")
    for path in (right, wrong, empty):
        path.chmod(0o600)
    assert run("keygen", "a", "--to", tmp_path, "--passphrase-file", right) == 0
    assert "is not encrypted" not in capsys.readouterr().err
    assert b"ENCRYPTED" in (tmp_path / "a.key").read_bytes()
    for words, said in (
        ((), "is encrypted; give its passphrase with --passphrase-file"),
        (("--passphrase-file", wrong), "the passphrase is wrong, or the file is damaged"),
        (("--passphrase-file", empty), "its first line is empty"),
        (("--passphrase-file", tmp_path), "Is a directory"),
        (("--passphrase-file", tmp_path / "nowhere"), "No such file"),
    ):
        assert run("sign", copy, "--key", tmp_path / "a.key", *words) == 2
        failed(capsys, said)
        assert not (copy / "manifest.sig").exists()
    assert run("sign", copy, "--key", keys / "officer.key", "--passphrase-file", right) == 2
    failed(capsys, "is not encrypted, and --passphrase-file was given")
    assert run("sign", copy, "--key", tmp_path / "a.key", "--passphrase-file", right) == 0


def test_a_passphrase_from_a_pipe(tmp_path: Path, copy: Path) -> None:
    reader, writer = os.pipe()
    os.write(writer, b"correct horse\n")
    os.close(writer)
    assert run("keygen", "a", "--to", tmp_path, "--passphrase-file", f"/dev/fd/{reader}") == 0
    os.close(reader)
    (tmp_path / "word").write_text("correct horse")
    assert run("sign", copy, "--key", tmp_path / "a.key", "--passphrase-file", tmp_path / "word") == 0


def ec_pem() -> bytes:
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    return ec.generate_private_key(ec.SECP256R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def test_what_is_no_private_key(tmp_path: Path, copy: Path, keys: Path, capsys: Said) -> None:
    (tmp_path / "garbage").write_bytes(b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")
    (tmp_path / "binary").write_bytes(bytes(range(256)))
    (tmp_path / "large").write_bytes(bytes(5000))
    (tmp_path / "ec").write_bytes(ec_pem())
    (tmp_path / "two").write_bytes((keys / "officer.key").read_bytes() + (keys / "successor.key").read_bytes())
    for path, said in (
        (keys / "officer.pub", "a public key, where the private one is expected"),
        (tmp_path, "Is a directory"),
        (tmp_path / "nowhere.key", "No such file"),
        (tmp_path / "garbage", "not a readable private key"),
        (tmp_path / "binary", "one private key in PEM and nothing else"),
        (tmp_path / "two", "one private key in PEM and nothing else"),
        (tmp_path / "large", "larger than 4096 bytes"),
        (tmp_path / "ec", "must be an Ed25519 key; got ECPrivateKey"),
    ):
        assert run("sign", copy, "--key", path) == 2
        failed(capsys, said)
        assert not (copy / "manifest.sig").exists()


def test_a_key_that_others_can_read_is_told(tmp_path: Path, copy: Path, keys: Path, capsys: Said) -> None:
    loose = Path(shutil.copy(keys / "officer.key", tmp_path))
    loose.chmod(0o644)
    assert run("sign", copy, "--key", loose) == 0
    assert f"can be read by others than its owner: chmod 600 {loose}" in capsys.readouterr().err


# --- signing


def test_a_bundle_is_signed_and_verified(copy: Path, keys: Path, capsys: Said) -> None:
    before = datetime.now(UTC)
    digest = bundle.load(copy, trust=machine_keys(), allow_unsigned=True).digest
    assert run("sign", copy, "--key", keys / "officer.key", "--json") == 0
    record = json.loads(capsys.readouterr().out)
    officer = load_private(keys / "officer.key", None).public.id
    assert version_of(before) <= record.pop("version") <= version_of(datetime.now(UTC))
    assert record.pop("signed_at")[:10] == f"{before:%Y-%m-%d}"
    assert record.pop("acceptance") == "not accepted at any site"
    assert record == {"bundle": "custom_cnn-int8", "digest": digest, "keys": [officer], "lax_policy": None}
    assert bundle.load(copy, trust=machine_keys(), allow_unsigned=True).digest == digest, (
        "a signature changes nothing that is signed"
    )
    assert run("verify", copy, "--public", keys / "officer.pub", "--json") == 0
    record = json.loads(capsys.readouterr().out)
    assert record["valid"] and record["keys"] == [officer] and record["digest"] == digest
    assert (record["reason"], record["verdict"]) == (None, "pass")
    assert record["acceptance"] == "not accepted at any site"
    assert sorted(path.name for path in copy.parent.iterdir()) == ["custom_cnn-int8"]


def test_what_a_site_accepted_is_shown_when_it_is_signed_and_verified(copy: Path, keys: Path, capsys: Said) -> None:
    accept(copy, leukemic=29, healthy=5, verdict="pass")
    bound = "accepted at lab-3: at most 10 % of leukemic slides found benign (0 of 29, 95 % confidence)"
    assert run("sign", copy, "--key", keys / "officer.key") == 0 and bound in capsys.readouterr().out
    assert run("verify", copy, "--public", keys / "officer.pub") == 0 and bound in capsys.readouterr().out
    acceptance = json.loads((copy / "acceptance.json").read_bytes())
    (copy / "acceptance.json").write_text(json.dumps({**acceptance, "site": "lab-4"}))
    assert run("verify", copy, "--public", keys / "officer.pub") == 1 and "altered" in capsys.readouterr().out


def test_versions_grow_and_signatures_are_added(copy: Path, keys: Path, capsys: Said) -> None:
    officer, successor = keys / "officer.key", keys / "successor.key"
    assert run("sign", copy, "--key", officer, "--version", "7") == 0
    for words, said in (
        (("--key", officer), "is signed already, version 7 by"),
        (("--key", officer, "--replace", "--version", "7"), "version must be above 7, which was signed; got 7"),
        (("--key", officer, "--add"), "has signed it already"),
        (("--key", successor, "--add", "--version", "8"), "--add confirms version 7, which is signed; got --version 8"),
        (("--key", successor, "--add", "--replace"), "give one of them"),
        (("--key", officer, "--replace", "--version", "0"), "--version must be at least 1"),
        (("--key", officer, "--replace", "--version", LARGEST_VERSION + 1), "--version must be at most"),
        (("--key", officer, "--replace", "--version", "1.0"), "--version must be a whole number"),
    ):
        data = (copy / "manifest.sig").read_bytes()
        capsys.readouterr()
        assert run("sign", copy, *words) == 2
        failed(capsys, said)
        assert (copy / "manifest.sig").read_bytes() == data
    assert run("sign", copy, "--key", successor, "--add", "--version", "7") == 0
    for words in (("officer.pub",), ("successor.pub",), ("successor.pub", "officer.pub")):
        capsys.readouterr()
        assert run("verify", copy, "--public", *(keys / word for word in words), "--json") == 0
        record = json.loads(capsys.readouterr().out)
        assert record["version"] == 7 and len(record["keys"]) == len(words)
    assert run("sign", copy, "--key", officer, "--replace", "--version", "8") == 0
    assert run("verify", copy, "--public", keys / "successor.pub") == 1


def test_there_is_nothing_to_add_to(copy: Path, keys: Path, capsys: Said) -> None:
    assert run("sign", copy, "--key", keys / "officer.key", "--add") == 2
    failed(capsys, "is not signed; there is nothing to --add to")


def test_a_signature_of_another_manifest_or_name_is_not_added_to(copy: Path, keys: Path, capsys: Said) -> None:
    assert run("sign", copy, "--key", keys / "officer.key", "--version", "7") == 0
    renamed = copy.rename(copy.parent / "other-int8")
    capsys.readouterr()
    assert run("sign", renamed, "--key", keys / "successor.key", "--add") == 2
    failed(capsys, "was signed for bundle custom_cnn-int8; this folder is called 'other-int8'")
    certificate = json.loads((renamed / "certificate.json").read_text())
    resealed(renamed, certificate__json=json.dumps(certificate).encode())
    assert run("sign", renamed, "--key", keys / "successor.key", "--add") == 2
    failed(capsys, "signs another manifest; --replace signs this one")


def test_only_a_whole_and_certified_bundle_is_signed(copy: Path, keys: Path, capsys: Said) -> None:
    certificate = json.loads((copy / "certificate.json").read_text())
    resealed(copy, certificate__json=json.dumps({**certificate, "verdict": "fail"}).encode())
    assert run("sign", copy, "--key", keys / "officer.key") == 2
    failed(capsys, "its certificate says 'fail', not 'pass'")
    assert run("sign", copy, "--key", keys / "officer.key", "--allow-uncertified") == 0
    capsys.readouterr()
    assert run("verify", copy, "--public", keys / "officer.pub") == 0
    assert "its certificate says 'fail': devices refuse it" in capsys.readouterr().out
    (copy / "labels.txt").write_text("Benign\n")
    assert run("sign", copy, "--key", keys / "officer.key", "--replace", "--allow-uncertified") == 2
    failed(capsys, "labels.txt: altered")
    for wrong in (copy.parent / "nowhere", copy / "labels.txt"):
        assert run("sign", wrong, "--key", keys / "officer.key") == 2
        failed(capsys, str(wrong))


def test_a_name_that_cannot_be_signed(copy: Path, keys: Path, capsys: Said) -> None:
    spaced = copy.rename(copy.parent / "my model")
    assert run("sign", spaced, "--key", keys / "officer.key") == 2
    failed(capsys, "bundle must be 1 to 64 of A-Z a-z 0-9 . _ -")


def test_a_clock_that_was_never_set_makes_no_version(copy: Path, keys: Path) -> None:
    key = load_private(keys / "officer.key", None)
    with pytest.raises(SigningError, match="clock says 1970-01-01; set it, or give --version"):
        sign(copy, key, now=datetime(1970, 1, 1, tzinfo=UTC))
    assert version_of(NOON) == VERSION and not (copy / "manifest.sig").exists()


def test_a_failure_leaves_the_old_signature(copy: Path, keys: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key = load_private(keys / "officer.key", None)
    sign(copy, key, now=NOON)
    before = (copy / "manifest.sig").read_bytes()

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    assert run("sign", copy, "--key", keys / "officer.key", "--replace") == 4
    assert (copy / "manifest.sig").read_bytes() == before
    assert [path.name for path in copy.parent.iterdir()] == [copy.name]


# --- verifying


def test_what_is_not_valid_says_why_and_ends_with_one(copy: Path, keys: Path, capsys: Said) -> None:
    public = keys / "officer.pub"
    assert run("verify", copy, "--public", public) == 1
    assert "not valid: " in (said := capsys.readouterr().out) and "manifest.sig is missing" in said
    sign(copy, load_private(keys / "officer.key", None))
    assert run("verify", copy, "--public", keys / "successor.pub", "--json") == 1
    record = json.loads(capsys.readouterr().out)
    assert not record["valid"] and "none of them a trusted key" in record["reason"] and record["version"] is None
    (copy / "labels.txt").write_text("")
    assert run("verify", copy, "--public", public) == 1
    assert "labels.txt: altered" in capsys.readouterr().out


def test_wrong_requests_end_with_two(copy: Path, keys: Path, capsys: Said, tmp_path: Path) -> None:
    sign(copy, load_private(keys / "officer.key", None))
    for words, said in (
        ((copy,), "needs --public"),
        ((tmp_path / "nowhere", "--public", keys / "officer.pub"), "no such folder or zip file"),
        ((copy, "--public", keys / "officer.key"), "a private key, where the public one is expected"),
        ((copy, "--public", keys / "nobody.pub"), "No such file"),
        ((copy, "--public", keys / "officer.pub", keys), "Is a directory"),
        ((copy, "--public", keys), "neither a key"),
    ):
        assert run("verify", *words) == 2
        failed(capsys, said)


def test_a_folder_of_trusted_keys_with_its_revocations(copy: Path, keys: Path, tmp_path: Path, capsys: Said) -> None:
    sign(copy, load_private(keys / "officer.key", None))
    folder = tmp_path / "trusted"
    folder.mkdir()
    shutil.copy(keys / "officer.pub", folder)
    assert run("verify", copy, "--public", folder) == 0
    digest = bundle.load(copy, trust=machine_keys(), allow_unsigned=True).digest
    (folder / "recall.revoked").write_text(f"bundle {digest}\n")
    assert run("verify", copy, "--public", folder) == 1
    assert "was revoked" in capsys.readouterr().out


# --- packing


def test_a_bundle_travels_as_one_file(copy: Path, keys: Path, tmp_path: Path, capsys: Said) -> None:
    stick = tmp_path / "stick" / "bundle.zip"
    stick.parent.mkdir()
    assert run("pack", copy, "--to", stick) == 0
    assert "is not signed: a device that holds trusted keys refuses it" in capsys.readouterr().err
    assert run("verify", stick, "--public", keys / "officer.pub") == 1
    sign(copy, load_private(keys / "officer.key", None))
    capsys.readouterr()
    assert run("pack", copy, "--to", stick) == 2
    failed(capsys, "exists and holds something else")
    stick.unlink()
    assert run("pack", copy, "--to", stick, "--json") == 0
    record = json.loads(capsys.readouterr().out)
    data = stick.read_bytes()
    assert record["signed"] and record["bytes"] == len(data)
    assert read_zip(data, "x", FILE_LIMITS) == (copy.name, {p.name: p.read_bytes() for p in copy.iterdir()})
    assert run("pack", copy, "--to", stick) == 0 and stick.read_bytes() == data
    capsys.readouterr()
    assert run("verify", stick, "--public", keys / "officer.pub", "--json") == 0
    assert json.loads(capsys.readouterr().out)["digest"] == record["digest"]


def test_an_altered_zip_is_not_valid(copy: Path, keys: Path, tmp_path: Path, capsys: Said) -> None:
    sign(copy, load_private(keys / "officer.key", None))
    assert run("pack", copy, "--to", tmp_path / "x.zip") == 0
    data = bytearray((tmp_path / "x.zip").read_bytes())
    data[len(data) // 2] ^= 1
    (tmp_path / "x.zip").write_bytes(data)
    capsys.readouterr()
    assert run("verify", tmp_path / "x.zip", "--public", keys / "officer.pub") == 1
    assert "not a readable zip file" in capsys.readouterr().out


def test_what_is_no_bundle_is_not_packed(copy: Path, tmp_path: Path, capsys: Said) -> None:
    (copy / "model.tflite").write_bytes(b"")
    assert run("pack", copy, "--to", tmp_path / "x.zip") == 2
    failed(capsys, "model.tflite: altered")
    assert not (tmp_path / "x.zip").exists()


def test_as_installed(copy: Path, tmp_path: Path) -> None:
    """In processes of their own."""
    made = shell("convert", "keygen", "officer", "--to", tmp_path)
    assert made.returncode == 0 and made.stdout.startswith("key ")
    signed = shell("convert", "sign", copy, "--key", tmp_path / "officer.key")
    assert signed.returncode == 0 and "signed by" in signed.stdout, signed.stderr
    valid = shell("convert", "verify", copy, "--public", tmp_path / "officer.pub")
    assert valid.returncode == 0 and valid.stdout.startswith("valid: custom_cnn-int8, version "), valid.stderr
    wrong = shell("convert", "verify", copy, "--public", tmp_path / "officer.key")
    assert wrong.returncode == 2 and is_one_line(wrong.stderr)


def test_the_commands_of_the_how_to_work_as_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Said
) -> None:
    page = ROOT / "docs" / "how-to" / "sign-a-bundle.md"
    blocks = re.findall(r"^```sh\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines()]
    commands = [shlex.split(line)[1:] for line in lines if line.startswith("convert ")]
    assert [words[0] for words in commands] == ["keygen", "sign", "verify", "pack", "verify"]
    shutil.copytree(SHIPPED.parent / "mobilenet_v2-int8", tmp_path / "build" / "bundles" / "mobilenet_v2-int8")
    (tmp_path / "passphrase.txt").write_text("correct horse\n")
    monkeypatch.chdir(tmp_path)
    for words in commands:
        assert run(*words) == 0, capsys.readouterr().err
    key_id = capsys.readouterr().out.splitlines()[0].removeprefix("key ")
    if shutil.which("openssl"):
        [line] = [line for line in lines if line.startswith("openssl ")]
        shutil.copy("keys/quality-2026.pub", ".")
        told = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=True)
        assert told.stdout.split()[0] == key_id
    added = ["sign", "build/bundles/mobilenet_v2-int8", "--key", "keys/quality-2027.key", "--add"]
    assert run("keygen", "quality-2027", "--to", "keys") == 0 and run(*added) == 0
    assert run("verify", "build/bundles/mobilenet_v2-int8", "--public", "keys/quality-2027.pub") == 0
