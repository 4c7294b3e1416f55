"""The certificate: complete, repeatable, and refused where its facts contradict each other."""

import hashlib
import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from convert.calibration.calibration_set import Calibration, set_digest
from convert.calibration.evaluation_data import ConversionImages
from convert.certification import certificate
from convert.certification.conversion import Converted
from convert.certification.float_reference import Compared, FloatReference
from convert.errors import CertificateError
from convert.parity.comparison import compare
from convert.parity.latency import Latency
from convert.parity.policy import Policy
from convert.parity.verdict import judge
from convert.quantization.findings import Finding
from convert.quantization.float_model import FloatModel
from convert.quantization.speed import Speed
from edge.inference.contract import InputContract

LABELS = ("Benign", "Early", "Pre", "Pro")
CONTRACT = InputContract((32, 32), LABELS)
MODEL = FloatModel(lambda batch: batch, Path("models/trained/tiny/model.keras"), "ab" * 32, "tiny", (32, 32), 4)
LATENCY = Latency(
    float_ms=9.0,
    float_min_ms=8.5,
    int8_ms=3.0,
    int8_min_ms=2.9,
    repeats=50,
    runtime="litert",
    version="2.3.0",
    kind="xnnpack",
    threads=1,
    ratio=3.0,
    ratio_min=8.5 / 2.9,
)
MOMENT = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)


def sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def evidence_of(images: int, labelled: bool = True) -> ConversionImages:
    """`images` small evaluation images beside a calibration set of eight others."""
    rng = np.random.default_rng(0)
    chosen = tuple(f"train/{i}" for i in range(8))
    pixels = rng.integers(0, 256, (images, 32, 32, 3), dtype=np.uint8)
    finding = Finding("warn", "class-small", "Pro has 2 images")
    calibration = Calibration(
        chosen, tuple(map(sha, chosen)), LABELS * 2, pixels[:8], "random", 0, not labelled, (finding,)
    )
    names = tuple(f"test/{i}" for i in range(images))
    truth = np.arange(images) % 4 if labelled else None
    return ConversionImages(calibration, pixels, truth, names, tuple(map(sha, names)), "the test part of a split")


def outputs(indices: np.ndarray) -> np.ndarray:
    rows = np.full((len(indices), 4), 0.04)
    rows[np.arange(len(indices)), indices] = 0.88
    return rows


def facts(
    images: int = 480, labelled: bool = True, changed: tuple[int, ...] = ()
) -> tuple[dict[str, Any], np.ndarray, np.ndarray]:
    """What is certified, and both models' probabilities."""
    evidence = evidence_of(images, labelled)
    truth = np.arange(images) % 4
    called = truth.copy()
    called[list(changed)] = (called[list(changed)] + 1) % 4
    before, after = outputs(truth), outputs(called)
    parity = compare(LABELS, before, after, evidence.truth, names=evidence.names, kind="xnnpack")
    policy = Policy.default()
    arguments = {
        "model": MODEL,
        "int8": b"TFL3 bytes",
        "contract": CONTRACT,
        "evidence": evidence,
        "parity": parity,
        "judgement": judge(parity, policy),
        "policy": policy,
        "latency": LATENCY,
        "float_tflite_bytes": 9_000_000,
        "findings": (Finding("info", "operator-versions", "CONV_2D v3"),),
        "request": "r" * 64,
        "seconds": {"convert": 12.34567},
        "created": MOMENT,
    }
    return arguments, before, after


def certified(**facts: Any) -> certificate.Certificate:
    """A certificate of `facts`."""
    nothing = np.empty((0, 4), np.float32)
    images, compared = facts["evidence"], Compared(nothing, nothing, facts["parity"], facts["judgement"])
    return certificate.certify(
        FloatReference(facts["model"], facts["contract"], images, facts["policy"], nothing, (), ()),
        Converted(facts["int8"], facts["findings"], images.calibration, compared),
        Speed(facts["latency"], facts["float_tflite_bytes"]),
        request=facts["request"],
        seconds=facts["seconds"],
        created=facts["created"],
    )


def certify(**facts: Any) -> dict[str, Any]:
    """The same as a record."""
    return certified(**facts).to_record()


def test_everything_stands_in_it() -> None:
    arguments, *_ = facts()
    record = json.loads(json.dumps(certify(**arguments), allow_nan=False))
    assert record["format"] == 1
    assert record["verdict"] == record["parity"]["verdict"] == "pass"
    assert (record["judged"], record["labelled"], record["synthetic"]) == ("labels", True, False)
    assert record["created"] == "2026-11-23T08:00:00Z"
    assert record["float_model"] == {"name": "tiny", "file": "model.keras", "sha256": "ab" * 32}
    assert record["int8_model"]["sha256"] == hashlib.sha256(b"TFL3 bytes").hexdigest()
    assert record["contract"]["sha256"] == hashlib.sha256(CONTRACT.to_json().encode()).hexdigest()
    assert record["calibration"]["images"] == 8 and record["evaluation"]["images"] == 480
    assert Policy.from_record(record["policy"]) == Policy.default()
    assert record["parity"]["agreement"] == 1.0 and record["parity"]["kind"] == "xnnpack"
    assert record["latency"]["ratio"] == 3.0
    assert record["interpreter"] == {"kind": "xnnpack", "runtime": "litert", "version": "2.3.0"}
    assert set(record["versions"]) >= {"python", "numpy"}
    assert record["seconds"] == {"convert": 12.346}
    assert "Research use only" in record["notice"]


def test_no_path_of_a_machine_stands_in_it() -> None:
    """Certificates are published: they name files, not folders."""
    arguments, *_ = facts()
    arguments["model"] = replace(MODEL, path=Path("/home/somebody/secret/model.keras"))
    assert not re.search(r"/home|secret", json.dumps(certify(**arguments)))


def test_equal_facts_give_equal_certificates() -> None:
    first, second = (json.dumps(certify(**facts()[0]), sort_keys=True) for _ in range(2))
    assert first == second


def test_time_is_utc() -> None:
    arguments, *_ = facts()
    arguments["created"] = datetime(2026, 11, 23, 10, 0, tzinfo=timezone(timedelta(hours=2)))
    assert certify(**arguments)["created"] == "2026-11-23T08:00:00Z"


def test_without_labels_it_says_so() -> None:
    record = certify(**facts(labelled=False)[0])
    assert (record["judged"], record["labelled"], record["synthetic"]) == ("agreement", False, True)
    assert record["parity"]["accuracy_int8"] is None
    assert record["calibration"]["synthetic"] is True


@pytest.mark.parametrize(("changed", "verdict"), [((), "pass"), (tuple(range(1, 400, 2)), "fail")])
def test_verdict_is_the_judgement(changed: tuple[int, ...], verdict: str) -> None:
    record = certify(**facts(changed=changed)[0])
    assert record["verdict"] == verdict
    assert bool(record["reasons"]) == (verdict != "pass")


def test_an_image_on_both_sides_is_refused() -> None:
    """Negative control: a calibration image that also judges."""
    arguments, *_ = facts()
    evidence = arguments["evidence"]
    leaked = (evidence.calibration.sha256s[3], *evidence.sha256s[1:])
    arguments["evidence"] = replace(evidence, sha256s=leaked)
    with pytest.raises(CertificateError, match="must share no image; both hold test/0"):
        certify(**arguments)


def test_facts_of_other_images_are_refused() -> None:
    arguments, before, after = facts()
    policy = arguments["policy"]
    fewer = compare(LABELS, before[:-1], after[:-1], np.arange(479) % 4)
    with pytest.raises(CertificateError, match="480 evaluation images; got one of 479"):
        certify(**{**arguments, "parity": fewer, "judgement": judge(fewer, policy)})
    unlabelled = compare(LABELS, before, after)
    with pytest.raises(CertificateError, match="judged by labels"):
        certify(**{**arguments, "parity": unlabelled, "judgement": judge(unlabelled, policy)})
    renamed = InputContract((32, 32), ("Benign", "Pre", "Early", "Pro"))
    with pytest.raises(CertificateError, match="contract's labels"):
        certify(**{**arguments, "contract": renamed})


@given(st.lists(st.text(), min_size=1, max_size=20), st.randoms())
def test_set_digest_knows_images_not_their_order(texts: list[str], random: Any) -> None:
    hashes = [sha(text) for text in texts]
    shuffled = list(hashes)
    random.shuffle(shuffled)
    assert set_digest(hashes) == set_digest(shuffled)
    assert set_digest(hashes) != set_digest([*hashes, sha("one more image")])


def test_set_digest_by_hand() -> None:
    assert set_digest(["b" * 64, "a" * 64]) == sha("a" * 64 + "\n" + "b" * 64)
    for wrong in ([], ["abc"], ["A" * 64]):
        with pytest.raises(CertificateError, match="sha256s"):
            set_digest(wrong)
