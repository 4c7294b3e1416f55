"""The signature file and the statement in it: whatever they hold, it is a signature or one line that says why not."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convert.signing.keys import PrivateKey
from edge.bundle.envelope import LARGEST_ENVELOPE_BYTES, Envelope
from edge.bundle.statement import LARGEST_VERSION, PAYLOAD_TYPE, Statement
from edge.errors import BundleError, SignatureError
from tests.edge.bundle.loading import refused
from tests.signing import sign_by_hand, trusted


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
