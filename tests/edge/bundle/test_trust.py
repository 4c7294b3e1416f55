"""Whose bundles run: by somebody who alters, exchanges, forges and renames; and by who keeps the keys."""

import base64
import io
import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convert.signing.keys import PrivateKey
from convert.signing.signing import sign
from edge.bundle import bundle, policy
from edge.bundle import trusted as trusted_module
from edge.bundle.envelope import LARGEST_ENVELOPE_BYTES, Envelope
from edge.bundle.golden import Golden
from edge.bundle.keys import PublicKey
from edge.bundle.statement import LARGEST_VERSION, PAYLOAD_TYPE, Statement
from edge.bundle.trusted import MOST_FILES, TrustedKeys
from edge.errors import BundleError, KeyFileError, SignatureError, TrustError
from edge.inference.contract import InputContract
from edge.settings.trusted_keys import machine_keys, machine_profile
from edge.system.folders import OpenFolder
from edge.system.strict_json import read_object
from tests.project import shipped_manifests
from tests.signing import (
    NOON,
    SHIPPED,
    VERSION,
    envelope,
    make_key,
    resealed,
    sign_by_hand,
    signed_copy,
    statement,
    trusted,
    trusted_folder,
)

FILES = sorted([*bundle.REQUIRED, "report.html", "manifest.json", "manifest.sig"])
OTHER = SHIPPED.parent / "mobilenet_v2-int8"


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("keys")
    for name in ("officer", "successor", "stranger"):
        make_key(folder, name)
    return folder


def private(keys: Path, name: str) -> PrivateKey:
    from convert.signing.keys import load_private

    return load_private(keys / f"{name}.key", None)


@pytest.fixture(scope="module")
def officer(keys: Path) -> PrivateKey:
    return private(keys, "officer")


@pytest.fixture(scope="module")
def successor(keys: Path) -> PrivateKey:
    return private(keys, "successor")


@pytest.fixture(scope="module")
def stranger(keys: Path) -> PrivateKey:
    return private(keys, "stranger")


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory, officer: PrivateKey) -> Path:
    return signed_copy(tmp_path_factory.mktemp("signed"), officer)


@pytest.fixture
def signed(original: Path, tmp_path: Path) -> Path:
    """A bundle that the officer signed, to be damaged."""
    return Path(shutil.copytree(original, tmp_path / original.name))


def refused(path: Path, trust: TrustedKeys, said: str, error: type[BundleError] = SignatureError, **more: Any) -> None:
    with pytest.raises(error, match=said) as caught:
        bundle.load(path, trust=trust, **more)
    assert "\n" not in str(caught.value) and type(caught.value) is error


# --- what is signed runs, and says by whom


def test_a_signed_bundle_runs_and_says_who_signed_it(signed: Path, officer: PrivateKey) -> None:
    loaded = bundle.load(signed, trust=trusted(officer))
    assert loaded.signed is not None and loaded.signed.keys == (officer.public.id,)
    assert loaded.signed.statement == Statement("custom_cnn-int8", VERSION, loaded.digest, "2026-11-24T12:00:00Z")
    assert str(loaded.provenance) == f"custom_cnn-int8, version {VERSION}, signed by {officer.public.id[:12]}"
    assert loaded.provenance.as_record() == {
        "bundle": "custom_cnn-int8",
        "bundle_version": VERSION,
        "signed_by": officer.public.id,
        "synthetic_certificate": False,
    }


def test_any_tool_that_knows_dsse_verifies_it(signed: Path, officer: PrivateKey) -> None:
    """An independent implementation: the standard's formula, and the library's Ed25519 alone."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    record = json.loads((signed / "manifest.sig").read_bytes())
    kind, payload = record["payloadType"].encode(), base64.b64decode(record["payload"])
    message = b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)
    key = Ed25519PublicKey.from_public_bytes(officer.public.raw)
    key.verify(base64.b64decode(record["signatures"][0]["sig"]), message)
    with pytest.raises(InvalidSignature):  # negative control
        key.verify(base64.b64decode(record["signatures"][0]["sig"]), message + b" ")


# --- altered


@pytest.mark.parametrize("allow_unsigned", [False, True])
@pytest.mark.parametrize("name", FILES)
def test_an_altered_byte_in_any_file_is_refused_by_its_name(
    signed: Path, officer: PrivateKey, name: str, allow_unsigned: bool
) -> None:
    data = bytearray((signed / name).read_bytes())
    data[len(data) // 2] ^= 1
    (signed / name).write_bytes(data)
    if not name.startswith("manifest"):
        said = f"{name}: altered"
        refused(signed, trusted(officer), said, BundleError, allow_unsigned=allow_unsigned)
    elif not allow_unsigned:
        refused(signed, trusted(officer), r"manifest\.sig: ")
    elif name == "manifest.json":
        refused(signed, trusted(officer), "altered|manifest.json", BundleError, allow_unsigned=True)
    else:  # what is left is an unsigned bundle, and it shows
        assert bundle.load(signed, trust=trusted(officer), allow_unsigned=True).provenance.signed_by == "unsigned"


def test_a_file_that_grew_is_not_read_beyond_what_was_signed(
    signed: Path, officer: PrivateKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (signed / "model.tflite").open("ab") as stream:
        stream.truncate(200 * 2**20)
    refused(signed, trusted(officer), "model.tflite: altered: larger than the manifest says", BundleError)


def test_nothing_is_read_or_parsed_before_the_signature_holds(
    signed: Path, stranger: PrivateKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []
    real = OpenFolder.read
    monkeypatch.setattr(OpenFolder, "read", lambda self, name, *more: read.append(name) or real(self, name, *more))

    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("parsed before it was verified")

    for target, name in (
        (InputContract, "from_json"),
        (Golden, "from_bytes"),
        (Statement, "from_bytes"),
        (bundle, "_json_object"),
    ):
        monkeypatch.setattr(target, name, refuse)
    refused(signed, trusted(stranger), "none of them a trusted key")
    assert sorted(read) == ["manifest.json", "manifest.sig"]


# --- signed by whom


def test_a_stranger_s_signature_is_none(signed: Path, stranger: PrivateKey) -> None:
    refused(signed, trusted(stranger), r"signed by [0-9a-f]{12}, none of them a trusted key \(/trusted holds 1\)")


def test_a_bundle_without_a_signature_is_refused(signed: Path, officer: PrivateKey) -> None:
    (signed / "manifest.sig").unlink()
    refused(signed, trusted(officer), r"not signed: manifest\.sig is missing")


def test_a_stranger_who_names_the_trusted_key_forges_nothing(
    signed: Path, officer: PrivateKey, stranger: PrivateKey
) -> None:
    payload = statement(signed, version=VERSION + 1).to_bytes()
    forged = {officer.public.id: stranger.sign(PAYLOAD_TYPE, payload)}
    (signed / "manifest.sig").write_bytes(envelope(payload, forged))
    refused(signed, trusted(officer), r"by key [0-9a-f]{12} \(officer\) does not hold: altered")


def test_rotation_old_and_new_devices_run_what_both_keys_signed(
    signed: Path, officer: PrivateKey, successor: PrivateKey, stranger: PrivateKey
) -> None:
    sign(signed, successor, add=True)
    both = tuple(sorted((officer.public.id, successor.public.id)))
    for trust, by in (
        (trusted(officer), (officer.public.id,)),
        (trusted(successor), (successor.public.id,)),
        (trusted(officer, successor, stranger), both),
    ):
        loaded = bundle.load(signed, trust=trust).signed
        assert loaded is not None and loaded.keys == by and loaded.statement.version == VERSION
    assert " and " in str(bundle.load(signed, trust=trusted(officer, successor)).provenance)


def test_a_broken_signature_beside_a_good_one_does_not_count(
    signed: Path, officer: PrivateKey, successor: PrivateKey
) -> None:
    payload = statement(signed).to_bytes()
    signatures = {officer.public.id: officer.sign(PAYLOAD_TYPE, payload), successor.public.id: bytes(64)}
    (signed / "manifest.sig").write_bytes(envelope(payload, signatures))
    loaded = bundle.load(signed, trust=trusted(officer, successor)).signed
    assert loaded is not None and loaded.keys == (officer.public.id,)
    refused(signed, trusted(successor), "does not hold")


def test_a_revoked_key_signs_nothing_and_a_machine_with_no_other_runs_nothing(
    signed: Path, keys: Path, tmp_path: Path, officer: PrivateKey, successor: PrivateKey
) -> None:
    folder = trusted_folder(tmp_path / "trusted", keys, "officer", "successor")
    (folder / "lost.revoked").write_text(f"# the laptop was stolen\nkey {officer.public.id}  # 2026-11\n")
    trust = TrustedKeys.load(folder)
    assert list(trust.keys) == [successor.public.id] and trust.revoked_keys == {officer.public.id}
    refused(signed, trust, "which was revoked")
    sign(signed, successor, add=True)
    loaded = bundle.load(signed, trust=trust).signed
    assert loaded is not None and loaded.keys == (successor.public.id,)
    (folder / "successor.pub").unlink()
    trust = TrustedKeys.load(folder)
    assert trust.held and not trust.keys
    refused(signed, trust, "which was revoked")
    refused(SHIPPED, trust, "not signed")  # it does not fall back to the one that ships


def test_a_revoked_bundle_runs_nowhere_whatever_is_allowed(signed: Path, officer: PrivateKey) -> None:
    digest = bundle.load(signed, trust=trusted(officer)).digest
    trust = trusted(officer, revoked_bundles=frozenset({digest}))
    refused(signed, trust, f"bundle {digest[:12]} was revoked")
    refused(signed, trust, "was revoked", allow_unsigned=True)
    alone = TrustedKeys(Path("/trusted"), revoked_bundles=frozenset({digest}), held=True)
    refused(signed, alone, "was revoked", allow_unsigned=True)


# --- exchanged


def test_a_replaced_certificate_with_a_manifest_that_agrees_is_refused(signed: Path, officer: PrivateKey) -> None:
    certificate = json.loads((signed / "certificate.json").read_text())
    resealed(signed, certificate__json=json.dumps({**certificate, "note": "twice as good"}).encode())
    refused(signed, trusted(officer), r"signs another manifest than the manifest\.json beside it")
    assert bundle.load(signed, trust=bundle.NO_KEYS, allow_unsigned=True).certificate["note"]  # negative control


def test_a_signature_moved_over_from_another_bundle_is_refused(
    signed: Path, tmp_path: Path, officer: PrivateKey
) -> None:
    other = signed_copy(tmp_path / "other", officer, OTHER)
    shutil.copy(other / "manifest.sig", signed)
    refused(signed, trusted(officer), "signs another manifest")


def test_another_signed_bundle_under_this_name_is_refused(signed: Path, tmp_path: Path, officer: PrivateKey) -> None:
    other = signed_copy(tmp_path / "other", officer, OTHER)
    shutil.rmtree(signed)
    other.rename(signed)
    said = "was signed for bundle mobilenet_v2-int8; this folder is called 'custom_cnn-int8'"
    refused(signed, trusted(officer), said)
    loaded = bundle.load(signed, trust=trusted(officer), any_name=True)
    assert loaded.name == "mobilenet_v2-int8", "records say what was signed, not what the folder is called"


def test_a_link_is_followed_to_the_name(signed: Path, tmp_path: Path, officer: PrivateKey) -> None:
    link = tmp_path / "current"
    link.symlink_to(signed)
    assert bundle.load(link, trust=trusted(officer)).name == "custom_cnn-int8"


def test_a_signature_for_another_purpose_is_none(signed: Path, officer: PrivateKey) -> None:
    """The trusted key signed the same bytes as something else: another payload type, or without DSSE around them."""
    sign_by_hand(signed, officer, payload_type="application/vnd.in-toto+json")
    refused(signed, trusted(officer), "payloadType must be application/vnd.leukoscope.bundle")
    payload = statement(signed).to_bytes()
    plain = {officer.public.id: officer._private.sign(payload)}
    (signed / "manifest.sig").write_bytes(envelope(payload, plain))
    refused(signed, trusted(officer), "does not hold")
    relabelled = {officer.public.id: officer.sign("application/vnd.in-toto+json", payload)}
    (signed / "manifest.sig").write_bytes(envelope(payload, relabelled))
    refused(signed, trusted(officer), "does not hold")


# --- bundles that a trusted key did sign, and that are bad all the same


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


# --- the envelope


def plain(record: object) -> bytes:
    return json.dumps(record).encode()


GOOD = {"payload": "e30=", "payloadType": PAYLOAD_TYPE}
ONE = {"keyid": "ab" * 32, "sig": base64.b64encode(bytes(64)).decode()}
MALFORMED = [
    (b"", "not plain JSON"),
    (b"\xff\xfe", "not plain JSON"),
    (b"null", "must be a JSON object; got NoneType"),
    (b"[]", "must be a JSON object; got list"),
    (b"{}", "must hold payload, payloadType and signatures"),
    (b"[" * 4096, "not plain JSON"),
    (b'{"payload": ' + b"[" * 2000, "not plain JSON"),
    (b'{"payload": "", "payload": ""}', "a key is given twice"),
    (b'{"payload": ' + b"9" * 4080, "not plain JSON"),
    (b'{"payload": NaN}', "NaN is not JSON"),
    (b'{"payload": 1e999}', "too large a number"),
    (b" " * (LARGEST_ENVELOPE_BYTES + 1), "larger than 4096 bytes"),
    (plain({**GOOD, "signatures": [ONE], "more": 1}), "must hold payload, payloadType and signatures"),
    (plain({**GOOD, "payloadType": None, "signatures": [ONE]}), "payloadType must be"),
    (plain({**GOOD, "payload": 7, "signatures": [ONE]}), "payload: must be base64: got int"),
    (plain({**GOOD, "payload": "e30", "signatures": [ONE]}), "payload: must be base64"),
    (plain({**GOOD, "payload": "e31=", "signatures": [ONE]}), "not the one spelling"),
    (plain({**GOOD, "payload": "ä", "signatures": [ONE]}), "payload: must be base64"),
    (plain({**GOOD, "signatures": []}), "a list of 1 to 8"),
    (plain({**GOOD, "signatures": {}}), "a list of 1 to 8"),
    (plain({**GOOD, "signatures": [{}] * 9}), "a list of 1 to 8"),
    (plain({**GOOD, "signatures": ["x"]}), "must hold keyid and sig"),
    (plain({**GOOD, "signatures": [{**ONE, "cert": "x"}]}), "must hold keyid and sig"),
    (plain({**GOOD, "signatures": [{**ONE, "keyid": ["x"]}]}), "keyid must be 64 hexadecimal digits"),
    (plain({**GOOD, "signatures": [{**ONE, "keyid": "AB" * 32}]}), "keyid must be 64 hexadecimal digits"),
    (plain({**GOOD, "signatures": [{**ONE, "sig": "e30="}]}), "sig must be 64 bytes; got 2"),
    (plain({**GOOD, "signatures": [{**ONE, "sig": None}]}), "sig: must be base64"),
    (plain({**GOOD, "signatures": [ONE, ONE]}), "two signatures by key abababababab"),
]


@pytest.mark.parametrize(("data", "said"), MALFORMED)
def test_a_malformed_signature_file_is_one_line(signed: Path, officer: PrivateKey, data: bytes, said: str) -> None:
    (signed / "manifest.sig").write_bytes(data)
    error = SignatureError if len(data) <= LARGEST_ENVELOPE_BYTES else BundleError
    refused(signed, trusted(officer), said, error)


STATEMENT = {
    "format": 1,
    "bundle": "custom_cnn-int8",
    "version": 1,
    "manifest_sha256": "ab" * 32,
    "signed_at": "2026-11-24T12:00:00Z",
}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"format": 2}, "must hold format 1"),
        ({"format": True}, "must hold format 1"),
        ({"expires": "never"}, "must hold format 1"),
        ({"bundle": "../x"}, "bundle must be 1 to 64"),
        ({"bundle": ""}, "bundle must be"),
        ({"bundle": ["x"]}, "bundle must be"),
        ({"version": 0}, "version must be a whole number"),
        ({"version": -1}, "version must be a whole number"),
        ({"version": True}, "version must be a whole number"),
        ({"version": 1.0}, "version must be a whole number"),
        ({"version": "1"}, "version must be a whole number"),
        ({"version": LARGEST_VERSION + 1}, "version must be a whole number"),
        ({"version": 10**1000}, "version must be a whole number"),
        ({"manifest_sha256": "AB" * 32}, "manifest_sha256 must be 64"),
        ({"manifest_sha256": None}, "manifest_sha256 must be 64"),
        ({"signed_at": "2026-11-24"}, "signed_at must be a time"),
        ({"signed_at": "2026-13-24T12:00:00Z"}, "signed_at must be a time"),
        ({"signed_at": 0}, "signed_at must be a time"),
    ],
)
def test_a_statement_that_makes_no_sense_is_refused_though_it_is_signed(
    signed: Path, officer: PrivateKey, changes: dict[str, Any], said: str
) -> None:
    sign_by_hand(signed, officer, payload=plain({**STATEMENT, **changes}))
    refused(signed, trusted(officer), said)
    sign_by_hand(signed, officer, payload=plain(STATEMENT))  # negative control: only its manifest is another
    refused(signed, trusted(officer), "signs another manifest")


def test_statements_round_trip() -> None:
    said = Statement("a", LARGEST_VERSION, "0" * 64, "2026-11-24T12:00:00Z")
    assert Statement.from_bytes(said.to_bytes(), "x") == said


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)


@given(
    st.binary(max_size=300)
    | st.builds(plain, json_values)
    | st.builds(
        lambda a, b, c: plain({"payload": a, "payloadType": b, "signatures": c}),
        json_values | st.binary(max_size=40).map(lambda data: base64.b64encode(data).decode()),
        json_values | st.just(PAYLOAD_TYPE),
        st.lists(st.fixed_dictionaries({"keyid": json_values | st.just("ab" * 32), "sig": json_values}), max_size=3),
    )
)
@settings(max_examples=300, deadline=None)
def test_whatever_a_signature_file_holds_it_is_an_envelope_or_a_signature_error(data: bytes) -> None:
    try:
        read = Envelope.from_bytes(data, "x")
    except SignatureError as error:
        assert str(error).startswith("x: ") and "\n" not in str(error)
    else:
        assert Envelope.from_bytes(read.to_bytes(), "x") == read


@given(
    st.binary(max_size=200)
    | st.builds(plain, json_values)
    | st.builds(lambda v: plain({**STATEMENT, **v}), json_values.filter(lambda v: isinstance(v, dict)))
)
@settings(max_examples=200, deadline=None)
def test_whatever_a_payload_holds_it_is_a_statement_or_a_signature_error(payload: bytes) -> None:
    try:
        said = Statement.from_bytes(payload, "x")
    except SignatureError as error:
        assert str(error).startswith("x: ")
    else:
        assert Statement.from_bytes(said.to_bytes(), "x") == said


def test_no_altered_byte_of_a_signature_file_changes_what_is_said(signed: Path, officer: PrivateKey) -> None:
    """Every byte, two ways: it is refused, or it says what it said (blanks between JSON's words)."""
    data = (signed / "manifest.sig").read_bytes()
    trust = {officer.public.id: officer.public}
    before = Envelope.from_bytes(data, "x")
    accepted = 0
    for at in range(len(data)):
        for flip in (0x01, 0x20):
            altered = data[:at] + bytes([data[at] ^ flip]) + data[at + 1 :]
            try:
                read = Envelope.from_bytes(altered, "x")
            except SignatureError:
                continue
            if read.verified_by(trust):
                assert read == before
                accepted += 1
    assert accepted < 30 and before.verified_by(trust)


def test_an_envelope_that_is_too_large_is_not_written() -> None:
    with pytest.raises(SignatureError, match="8 signatures at most; got 9"):
        Envelope(b"{}", {f"{n:064x}": bytes(64) for n in range(9)}).to_bytes()


# --- a machine without keys, and one with


def test_a_machine_without_keys_runs_what_ships_and_nothing_else(
    signed: Path, tmp_path: Path, officer: PrivateKey
) -> None:
    none = TrustedKeys(tmp_path / "trusted")
    assert bundle.load(SHIPPED, trust=none).signed is None
    assert bundle.load(OTHER, trust=none).provenance.signed_by == "unsigned"
    link = tmp_path / "link"
    link.symlink_to(SHIPPED)
    assert bundle.load(link, trust=none).digest == bundle.load(SHIPPED, trust=none).digest
    copy = Path(shutil.copytree(SHIPPED, tmp_path / "copies" / SHIPPED.name))
    for other in (copy, signed):
        refused(other, none, r"holds no trusted key.*the signer's public key into .*trusted, or say --allow-unsigned")
        assert bundle.load(other, trust=none, allow_unsigned=True).signed is None
    link.unlink()
    link.symlink_to(copy)
    refused(link, none, "holds no trusted key")


def test_a_folder_beside_the_shipped_ones_by_its_name_alone_is_not_shipped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither a path that leads through the installation, nor one that only looks like it."""
    (tmp_path / "models" / "bundles").mkdir(parents=True)
    copy = Path(shutil.copytree(SHIPPED, tmp_path / "models" / "bundles" / SHIPPED.name))
    monkeypatch.chdir(tmp_path)
    through = SHIPPED / ".." / ".." / ".." / os.path.relpath(copy, SHIPPED.parents[2])
    assert through.resolve() == copy
    for path in (copy, Path("models/bundles") / SHIPPED.name, through):
        refused(path, TrustedKeys(tmp_path), "holds no trusted key")


def test_a_machine_with_keys_runs_no_unsigned_bundle_not_even_its_own(officer: PrivateKey) -> None:
    refused(SHIPPED, trusted(officer), "not signed")
    allowed = bundle.load(SHIPPED, trust=trusted(officer), allow_unsigned=True)
    assert str(allowed.provenance) == "custom_cnn-int8, unsigned"


def test_allowing_unsigned_keeps_the_signature_of_what_is_signed(signed: Path, officer: PrivateKey) -> None:
    assert bundle.load(signed, trust=trusted(officer), allow_unsigned=True).signed is not None


def test_where_nothing_ships_nothing_is_exempt(signed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(policy, "INSTALLATION", Path("/none"))
    refused(SHIPPED, TrustedKeys(Path("/none")), "holds no trusted key")


def test_a_foreign_models_folder_on_the_import_path_ships_nothing(tmp_path: Path) -> None:
    """Negative control: the shipped bundle runs in the same place."""
    foreign = Path(shutil.copytree(SHIPPED, tmp_path / "models" / "bundles" / "evil-int8"))
    (tmp_path / "models" / "__init__.py").touch()
    code = (
        "import importlib.util, sys\n"
        "from pathlib import Path\n"
        "sys.path.insert(0, str(Path.cwd()))\n"
        "assert Path.cwd() in Path(importlib.util.find_spec('models').origin).parents\n"
        "from edge.bundle import bundle\n"
        "from edge.bundle.trusted import TrustedKeys\n"
        "print(bundle.load(Path(sys.argv[1]), trust=TrustedKeys(Path.cwd() / 'trusted')).name)\n"
    )
    for path, answer in ((SHIPPED, "custom_cnn-int8\n"), (foreign, ""), (tmp_path / "models/bundles/evil-int8", "")):
        words = [sys.executable, "-c", code, str(path)]
        environment = {**os.environ, "PYTHONPATH": "."}
        done = subprocess.run(words, check=False, cwd=tmp_path, env=environment, capture_output=True, text=True)
        assert done.stdout == answer, done.stderr
        assert ("holds no trusted key" in done.stderr) is (answer == "")


@pytest.fixture
def installation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the folder of shipped bundles, as another installation has it."""
    folder = Path(shutil.copytree(SHIPPED.parent, tmp_path / "site" / "models" / "bundles"))
    monkeypatch.setattr(policy, "INSTALLATION", tmp_path / "site")
    return folder


def test_a_shipped_bundle_that_was_altered_is_shipped_no_more(installation: Path, tmp_path: Path) -> None:
    none = TrustedKeys(tmp_path / "trusted")
    assert bundle.load(installation / SHIPPED.name, trust=none).signed is None
    resealed(installation / SHIPPED.name, report__html=b"another page, and a manifest that agrees")
    refused(installation / SHIPPED.name, none, "holds no trusted key")
    added = Path(shutil.copytree(OTHER, installation / "evil-int8"))
    refused(added, none, "holds no trusted key")
    shutil.rmtree(installation / SHIPPED.name)
    shutil.copytree(OTHER, installation / SHIPPED.name)
    refused(installation / SHIPPED.name, none, "holds no trusted key")  # one shipped bundle under another's name
    assert bundle.load(installation / OTHER.name, trust=none).signed is None


def test_the_manifests_that_are_pinned_are_those_of_the_bundles_that_ship(monkeypatch: pytest.MonkeyPatch) -> None:
    assert policy.SHIPPED_MANIFESTS.read_text(encoding="utf-8") == shipped_manifests.current()
    monkeypatch.setattr(shipped_manifests, "bundles", lambda: SHIPPED)  # negative control: a folder without bundles
    assert policy.SHIPPED_MANIFESTS.read_text(encoding="utf-8") != shipped_manifests.current()


# --- the folder of trusted keys


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


@pytest.fixture
def profile(tmp_path: Path, keys: Path) -> Iterator[Path]:
    folder = trusted_folder(tmp_path / "trusted", keys, "officer")
    path = tmp_path / "edge.toml"
    path.write_text(f'[trust]\nkeys = "{folder}"\n')
    yield path


def test_the_profile_names_the_folder(profile: Path, officer: PrivateKey, monkeypatch: pytest.MonkeyPatch) -> None:
    named = machine_profile(profile)
    assert named is not None and list(TrustedKeys.load(named.trust.keys).keys) == [officer.public.id]
    monkeypatch.setattr("edge.settings.trusted_keys.DEFAULT_PROFILE", profile)
    assert list(machine_keys().keys) == [officer.public.id]
    monkeypatch.setattr("edge.settings.trusted_keys.DEFAULT_PROFILE", profile.parent / "none.toml")
    monkeypatch.setattr(trusted_module, "DEFAULT_KEYS", profile.parent / "none")
    assert not machine_keys().held


def test_who_forgets_to_name_the_keys_gets_the_machine_s(
    signed: Path, monkeypatch: pytest.MonkeyPatch, profile: Path
) -> None:
    monkeypatch.setattr("edge.settings.trusted_keys.DEFAULT_PROFILE", profile)
    assert bundle.load(signed, trust=machine_keys()).signed is not None
    with pytest.raises(SignatureError, match="not signed"):
        bundle.load(SHIPPED, trust=machine_keys())


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
