"""`gates.json`: what it says is what the device asks, and nothing in it is trusted."""

import copy
import json
import math
from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np
import pytest

from edge.errors import GatesError
from edge.inference.domain import ANY, SMEAR
from edge.inference.gates.gates_file import (
    LARGEST_GATES_BYTES,
    FamilyNumbers,
    GatesFile,
    GatesSource,
    QualityLimit,
    gate_names,
)
from edge.inference.gates.measures import View
from edge.inference.gates.novelty import FAMILIES, FARTHEST, Family, Novelty
from edge.inference.gates.quality import QUALITY, quality_names
from tests.edge.inference.gates.test_gates import drawn, one

SOURCE = GatesSource("models gates", {"fitted": 20, "limits": 5}, "parts", {"leukoscope": "0.1.0"})
LIMITS = {"under_exposed": 100.0, "no_contrast": 4.0, "motion_blur": 4.5}


def numbers(name: str, prototypes: int = 2) -> FamilyNumbers:
    """A family about the drawn fields, wide."""
    rows = np.array([FAMILIES[name].measure(View(pixels)) for pixels in drawn()[:prototypes]])
    count = rows.shape[1]
    return FamilyNumbers.of(name, Family(np.zeros(count), np.ones(count), rows, np.eye(count), 60.0))


def general() -> GatesFile:
    quality = {name: QualityLimit(limit, 20, 0.01, 1.0, 0) for name, limit in LIMITS.items()}
    return GatesFile(1, ANY, (224, 224), quality, {}, SOURCE, None)


def smear() -> GatesFile:
    quality = {"empty_field": QualityLimit(0.6, 20, 0.01, 1.0, 0)}
    return GatesFile(1, SMEAR, (224, 224), quality, {"stain": numbers("stain")}, SOURCE, None)


def record_of(file: GatesFile) -> dict[str, Any]:
    return json.loads(file.to_bytes())


def test_a_file_is_read_as_it_was_written() -> None:
    for file in (general(), smear()):
        assert GatesFile.from_bytes(file.to_bytes()) == file
    assert b'"size": [224, 224],\n' in general().to_bytes()


def test_gates_are_those_of_the_file_in_the_order_of_the_code() -> None:
    assert general().gates().names == ("under_exposed", "no_contrast", "motion_blur")
    assert smear().gates().names == ("empty_field", "unlike_training")
    assert gate_names() == (*QUALITY, "unlike_training")
    shuffled = msgspec.structs.replace(general(), quality=dict(reversed(general().quality.items())))
    assert shuffled.gates().names == general().gates().names


def test_one_family_alone_is_a_gate() -> None:
    """Stain, or structure, or both: the farther one counts."""
    both = {"stain": numbers("stain"), "structure": numbers("structure")}
    pixels = drawn()[5]
    found = {}
    for which in (("stain",), ("structure",), ("stain", "structure")):
        file = msgspec.structs.replace(smear(), novelty={name: both[name] for name in which})
        found[which] = file.gates().check(pixels).values["unlike_training"]
    assert found[("stain", "structure")] == max(found[("stain",)], found[("structure",)])
    assert found[("stain",)] != found[("structure",)]


def test_a_distance_that_is_no_number_refuses_whatever_other_families_say() -> None:
    gate = smear().gates().gates[-1]
    assert isinstance(gate, Novelty)
    stain, count = numbers("stain"), len(FAMILIES["structure"].words)
    nowhere = FamilyNumbers.of(
        "structure", Family(np.zeros(count), np.ones(count), np.full((1, count), 1e200), np.eye(count), 1.0)
    )
    families = {"stain": stain.family("stain"), "structure": nowhere.family("structure")}
    with np.errstate(all="ignore"):
        far = Novelty(families).read(View(drawn()[0]))
    assert far.refused and far.value == FARTHEST
    shares = Novelty(families).shares_of(
        {"stain": FAMILIES["stain"].measure(View(drawn()[0])), "structure": [math.nan] * count}
    )
    assert shares["structure"][0] == FARTHEST and shares["stain"][0] < 1


def test_a_picture_without_contrast_is_refused_where_no_smear_is_meant() -> None:
    gates = general().gates()
    flat, picture = one(180), drawn()[0]
    assert gates.check(flat).refusal is not None and gates.check(flat).refusal.gate == "no_contrast"  # type: ignore[union-attr]
    assert gates.check(picture).values["no_contrast"] > 4
    assert "no_contrast" not in quality_names(SMEAR) and "empty_field" not in quality_names(ANY)


def test_the_corner_counts_except_in_a_smear() -> None:
    """What stands in the scale bar's corner is seen in a picture of anything else."""
    pixels = drawn()[0].copy()
    pixels[-30:, -60:] = 0
    plain = drawn()[0]
    assert View(pixels, SMEAR).contrast == View(plain, SMEAR).contrast
    assert View(pixels, ANY).contrast > View(plain, ANY).contrast + 1
    assert View(pixels, SMEAR).edges == View(plain, SMEAR).edges
    assert View(pixels, ANY).edges != View(plain, ANY).edges
    assert View(plain, ANY).white_percent >= 0


def changed(file: GatesFile, change: Callable[[dict[str, Any]], Any]) -> bytes:
    record = copy.deepcopy(record_of(file))
    change(record)
    return json.dumps(record, separators=(",", ":")).encode()


STAIN_WORDS = len(FAMILIES["stain"].words)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (lambda: b"{", "not plain JSON"),
        (lambda: smear().to_bytes()[:-40], "not plain JSON"),
        (lambda: b"[]", "must be a JSON object; got list"),
        (lambda: b" " * (LARGEST_GATES_BYTES + 1), "4 MiB are the most"),
        (lambda: general().to_bytes().replace(b'"domain"', b'"format": 1, "domain"'), "a key is given twice"),
        (lambda: general().to_bytes().replace(b"100.0", b"NaN"), "NaN is not JSON"),
        (lambda: general().to_bytes().replace(b"100.0", b"1e999"), "too large a number"),
        (lambda: changed(general(), lambda r: r.update(format=2)), "format must be 1; got 2"),
        (lambda: changed(general(), lambda r: r.update(format=True)), "format must be 1; got True"),
        (lambda: changed(general(), lambda r: r.pop("judged")), "missing required field `judged`"),
        (lambda: changed(general(), lambda r: r.update(extra=1)), "unknown field `extra`"),
        (lambda: changed(general(), lambda r: r.update(domain="photo")), "Invalid enum value 'photo'"),
        (lambda: changed(general(), lambda r: r.update(size=[224])), r"at `\$.size`"),
        (lambda: changed(general(), lambda r: r.update(size=[224, 4])), r"at `\$.size\[1\]`"),
        (lambda: changed(general(), lambda r: r["quality"]["under_exposed"].update(limit=256)), "<= 255"),
        (lambda: changed(general(), lambda r: r["quality"]["under_exposed"].update(limit=True)), r"limit`"),
        (lambda: changed(general(), lambda r: r["quality"]["under_exposed"].update(limit="1")), r"limit`"),
        (
            lambda: changed(general(), lambda r: r["quality"].update(out_of_fokus=r["quality"]["motion_blur"])),
            "quality: 'out_of_fokus' is none; there are under_exposed",
        ),
        (
            lambda: changed(general(), lambda r: r["quality"].update(empty_field=r["quality"]["motion_blur"])),
            "quality: 'empty_field' is not measured in this domain; there are",
        ),
        (
            lambda: changed(general(), lambda r: r["novelty"].update(record_of(smear())["novelty"])),
            "novelty: 'stain' is not measured in this domain",
        ),
        (lambda: changed(general(), lambda r: r["quality"].clear()), "both empty: no frame would be refused"),
        (lambda: changed(smear(), lambda r: r["novelty"]["stain"].update(limit=0)), r"limit`"),
        (lambda: changed(smear(), lambda r: r["novelty"]["stain"]["numbers"].reverse()), "stain: numbers must be"),
        (
            lambda: changed(smear(), lambda r: r["novelty"]["stain"]["centre"].pop()),
            f"stain: centre must be {STAIN_WORDS} numbers a row",
        ),
        (
            lambda: changed(smear(), lambda r: r["novelty"]["stain"]["prototypes"][1].pop()),
            f"stain: prototypes must be {STAIN_WORDS} numbers a row",
        ),
        (
            lambda: changed(smear(), lambda r: r["novelty"]["stain"]["precision"].pop()),
            "stain: precision must be finite numbers of shape",
        ),
        (
            lambda: changed(smear(), lambda r: r["novelty"]["stain"]["precision"][0].__setitem__(0, -1)),
            "symmetric and positive definite",
        ),
        (lambda: changed(smear(), lambda r: r["novelty"]["stain"]["scale"].__setitem__(0, 0)), "scale must be > 0"),
        (
            lambda: changed(smear(), lambda r: r["novelty"]["stain"].update(prototypes=[[]] * 10**6)),
            r"length <= 1024 - at `\$.novelty\[...\].prototypes`",
        ),
        (lambda: changed(smear(), lambda r: r["novelty"]["stain"].update(centre=[0] * 300)), "length <= 256"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_one_line_that_names_the_file(data: Callable[[], bytes], message: str) -> None:
    with pytest.raises(GatesError, match=message) as caught:
        GatesFile.from_bytes(data(), "DIR/gates.json")
    assert str(caught.value).startswith("DIR/gates.json: ") and "\n" not in str(caught.value)
    assert len(str(caught.value)) < 700


def test_only_a_file_that_can_be_read_is_written() -> None:
    limit = QualityLimit(math.nan, 20, 0.01, 1.0, 0)
    with pytest.raises(GatesError, match="not JSON compliant"):
        msgspec.structs.replace(general(), quality={"under_exposed": limit}).to_bytes()
    with pytest.raises(GatesError, match="quality: 'empty_field' is not measured"):
        msgspec.structs.replace(smear(), domain=ANY).to_bytes()


def test_what_is_just_within_the_limits_is_read() -> None:
    """Boundaries: the largest limit, the most prototypes; one more of either is refused."""
    widest = changed(general(), lambda r: r["quality"]["under_exposed"].update(limit=255))
    assert GatesFile.from_bytes(widest).gates().gates[0].read(View(one(255))).refused is False
    most = changed(smear(), lambda r: r["novelty"]["stain"].update(prototypes=[[0] * STAIN_WORDS] * 1024))
    assert len(GatesFile.from_bytes(most).novelty["stain"].prototypes) == 1024
    over = changed(smear(), lambda r: r["novelty"]["stain"].update(prototypes=[[0] * STAIN_WORDS] * 1025))
    with pytest.raises(GatesError, match="length <= 1024"):
        GatesFile.from_bytes(over)


def test_a_distance_at_its_limit_passes() -> None:
    count = len(FAMILIES["stain"].words)
    family = Family(np.zeros(count), np.ones(count), np.zeros((1, count)), np.eye(count), 2.0)
    for distance, refused in ((2.0, False), (2.0 + 1e-9, True)):
        values = [distance, *[0.0] * (count - 1)]
        share, _ = Novelty({"stain": family}).shares_of({"stain": values})["stain"]
        assert (not share <= 1) is refused
