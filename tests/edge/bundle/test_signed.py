"""What a trusted key signed runs and says so; altered, exchanged, or signed by a stranger, it does not."""

import base64
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from convert.signing.keys import PrivateKey
from convert.signing.signing import sign
from edge.bundle import bundle, manifest
from edge.bundle.files import REQUIRED
from edge.bundle.golden import Golden
from edge.bundle.statement import PAYLOAD_TYPE, Statement
from edge.bundle.trusted import TrustedKeys
from edge.errors import BundleError
from edge.inference.contract import InputContract
from edge.inference.gates.gates_file import GatesFile
from edge.system.folders import OpenFolder
from tests.edge.bundle.loading import refused
from tests.signing import (
    SHIPPED,
    VERSION,
    envelope,
    resealed,
    sign_by_hand,
    signed_copy,
    statement,
    trusted,
    trusted_folder,
)
from tests.tiny_bundle import certified

FILES = sorted([*REQUIRED, "gates.json", "report.html", "manifest.json", "manifest.sig"])
OTHER = SHIPPED.parent / "mobilenet_v2-int8"


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
        (GatesFile, "from_bytes"),
        (bundle, "json_object"),
        (manifest, "json_object"),
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


def test_a_bundle_without_gates_is_signed_with_a_word(
    bundle_parts: dict[str, Any], officer: PrivateKey, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for gates, said in ((None, True), (bundle_parts["gates"], False)):
        caplog.clear()
        made = bundle.write(tmp_path / f"tiny-{said}-int8", **certified({**bundle_parts, "gates": gates}))
        sign(made.path, officer)
        assert ("has no gates.json, and devices refuse it" in caplog.text) is said
