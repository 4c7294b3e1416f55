"""What share of fields gets no answer, by thresholds that were chosen without them, and do any of them hold?

    python -m docs.studies.decision.cross_fit run --data DIR --work DIR --out FILE

It asks the gates and the int8 files of both shipped networks about every published field in DIR and about degraded
forms of it, keeps what they said in the folder `work`, and continues from there. Then it chooses temperature and
thresholds from the validation part, and from training and validation part together, by the rule of
`models.decision.operating_point`: what to expect of them by cross-fitting over microscope fields (of which only
validation fields count, since the networks were trained on the others), and what they do on the test part, beside the
thresholds that ship.
"""

import logging
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from msgspec import to_builtins

from docs.studies.command import Study, output, run
from docs.studies.novelty.published_fields import CONTRACT
from edge.bundle.bundle import load
from edge.commands.command_line import Outcome
from edge.errors import NOT_ENOUGH_EVIDENCE
from edge.inference.benign import indices
from edge.inference.classifier import Classifier, zero_counts_as
from edge.inference.decision import Decision
from edge.inference.gates.base import Gates
from edge.inference.runtime.interpreters import open_interpreter
from edge.settings.trusted_keys import machine_keys
from edge.system.option_values import whole_number
from models.data.parts import load_part, scan_for, split_for
from models.data.published import TRAINED, bundles
from models.decision.cross_fit import Asked, cross_fitted, fitted
from models.decision.device_decision import answers, ask_gates
from models.decision.fit import drawn_forms, every_form
from models.decision.network_gates import published_gates
from models.decision.temperature import Outputs
from models.evaluation.evaluation_set import EvaluationSet
from models.evaluation.robustness import degraded_one
from models.statistics.share import Share
from models.support.versions import versions

FORMS = {"validation": 7, "train": 4, "test": 4}  # drawn degraded forms of each field
THOROUGH = ("validation",)  # parts of whose malignant fields all forms are asked about
BATCH = 256
Plan = tuple[tuple[int, str, int], ...]  # field, corruption or "clean", severity
LABELS, BENIGN = CONTRACT.labels, CONTRACT.benign_labels
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Part:
    """What was asked about one part, and the answers: row i is `plan[i]`, (field, corruption, severity).

    Attributes:
        groups, truth: of every field. reasons: the gate that refuses, "" for none. outputs: by network, float (M, C);
            NaN where a gate refuses a degraded form, which no network was asked about.
    """

    truth: npt.NDArray[np.intp]
    groups: tuple[str, ...]
    plan: Plan
    reasons: npt.NDArray[np.str_]
    outputs: dict[str, npt.NDArray[np.float64]]

    def asked(self, name: str, least: float, first: int = 0) -> Asked:
        """Of one network; fields are counted from `first`. What no network was asked about is left out."""
        rows = ~np.isnan(self.outputs[name]).any(axis=1)
        field = np.array([first + index for index, _, _ in self.plan], np.intp)
        clean = np.array([corruption == "clean" for _, corruption, _ in self.plan])
        return Asked(self.outputs[name][rows], least, field[rows], clean[rows], (self.reasons == "")[rows])


@dataclass(frozen=True)
class Network:
    """A shipped int8 file."""

    classifier: Classifier
    decision: Decision
    least: float


@dataclass(frozen=True, kw_only=True)
class CrossFitStudy(Study):
    """Ask, choose, judge."""

    data: Path
    work: Path
    seconds: int

    def execute(self) -> Outcome:
        """Exit 3 when the time is up before all were asked: the same command continues."""
        until = time.monotonic() + self.seconds
        self.work.mkdir(parents=True, exist_ok=True)
        networks = {name: _network(name) for name in TRAINED}
        parts = {}
        for name in FORMS:
            found = _part(self.data, name, networks, self.work, until)
            if found is None:
                text = f"time is up in the {name} part; the same command continues"
                return Outcome(NOT_ENOUGH_EVIDENCE, {"part": name}, text)
            parts[name] = found
        record = {
            "command": "python -m docs.studies.decision.cross_fit run --data DIR --work DIR --out FILE",
            "forms": FORMS,
            "networks": {name: _judged(name, network, parts) for name, network in networks.items()},
            "versions": versions(),
        }
        return self.finished(record, "\n".join(_lines(record)))


def _network(name: str) -> Network:
    bundle = load(bundles() / f"{name}-int8", trust=machine_keys(), allow_unsigned=True, allow_uncertified=True)
    interpreter = open_interpreter(bundle.model)
    assert bundle.contract.decision is not None
    least = zero_counts_as(interpreter.output.quantization)
    return Network(Classifier(bundle.contract, interpreter), bundle.contract.decision, least)


def _part(data: Path, name: str, networks: Mapping[str, Network], work: Path, until: float) -> Part | None:
    """All that was said about a part; None when the time is up."""
    image_set = scan_for(data, CONTRACT)
    split, _ = split_for(image_set)
    part = load_part(image_set, split, name, CONTRACT)
    dataset = EvaluationSet.of_part(part, LABELS, BENIGN)
    plan = tuple(_plan(dataset, name))
    gates, said = published_gates().gates(), []
    for start in range(0, len(plan), BATCH):
        path = work / f"{name}-{start:06d}.npz"
        if not path.is_file():
            if time.monotonic() > until:
                return None
            _ask(dataset, plan[start : start + BATCH], gates, networks, path)
        with np.load(path) as kept:
            said.append({key: kept[key] for key in ("reasons", *networks)})
    outputs = {each: np.concatenate([one[each] for one in said]).astype(np.float64) for each in networks}
    reasons = np.concatenate([one["reasons"] for one in said])
    return Part(np.asarray(dataset.truth, np.intp), part.groups, plan, reasons, outputs)


def _plan(dataset: EvaluationSet, part: str) -> Iterator[tuple[int, str, int]]:
    forms = {(i, *form) for i, key in enumerate(dataset.keys) for form in drawn_forms(key, FORMS[part])}
    if part in THOROUGH:
        forms |= {(i, *form) for i in np.flatnonzero(dataset.is_malignant()).tolist() for form in every_form()}
    yield from ((i, "clean", 0) for i in range(len(dataset.truth)))
    yield from sorted(forms)


def _ask(dataset: EvaluationSet, batch: Plan, gates: Gates, networks: Mapping[str, Network], path: Path) -> None:
    forms = [dataset.pixels[i] if what == "clean" else degraded_one(dataset, i, what, s) for i, what, s in batch]
    pixels = np.stack(forms)
    reasons = np.array([reason or "" for reason in ask_gates(gates, pixels).reasons])
    outputs = {name: np.full((len(batch), len(LABELS)), np.nan, np.float32) for name in networks}
    for k, (_, what, _) in enumerate(batch):
        if reasons[k] == "" or what == "clean":
            for name, network in networks.items():
                outputs[name][k] = network.classifier.probabilities(pixels[k])
    np.savez(path, reasons=reasons, **outputs)


def _judged(name: str, network: Network, parts: Mapping[str, Part]) -> dict[str, Any]:
    test = parts["test"].asked(name, network.least)
    shipped = network.decision.temperature, network.decision.answer_from
    found: dict[str, Any] = {"shipped": _used(*shipped), "shipped_on_test": _on(test, parts["test"], *shipped)}
    for chosen in (("validation",), ("train", "validation")):
        asked, truth, groups, counts = _together(name, network.least, parts, chosen)
        expected = cross_fitted(LABELS, BENIGN, {"int8": asked}, truth, groups, judged=counts)["int8"]
        decision, _ = fitted(LABELS, BENIGN, {"int8": asked}, truth)
        now = decision.temperature, decision.point.answer_from
        found["+".join(chosen)] = {
            **_used(*now),
            "surest_missed": decision.point.surest_missed,
            "expected": to_builtins(expected),
            "on_test": _on(test, parts["test"], *now),
        }
    return found


def _together(
    name: str, least: float, parts: Mapping[str, Part], chosen: tuple[str, ...]
) -> tuple[Asked, npt.NDArray[np.intp], tuple[str, ...], npt.NDArray[np.bool_]]:
    """Parts as one set of fields, and which of them the network was not trained on."""
    first, asked = 0, []
    for each in chosen:
        asked.append(parts[each].asked(name, least, first))
        first += len(parts[each].truth)
    rows = (np.concatenate([getattr(one, key) for one in asked]) for key in ("field", "clean", "passed"))
    return (
        Asked(np.concatenate([one.probabilities for one in asked]), least, *rows),
        np.concatenate([parts[each].truth for each in chosen]),
        tuple(group for each in chosen for group in parts[each].groups),
        np.concatenate([np.full(len(parts[each].truth), each != "train") for each in chosen]),
    )


def _used(temperature: float, answer_from: tuple[float, ...]) -> dict[str, Any]:
    return {"temperature": temperature, "answer_from": dict(zip(LABELS, answer_from, strict=True))}


def _on(asked: Asked, part: Part, temperature: float, answer_from: tuple[float, ...]) -> dict[str, Any]:
    """What a decision does on a part."""
    said = answers(Outputs(asked.probabilities, asked.least), temperature)
    sure = said.confidence >= np.asarray(answer_from)[said.called]
    answered, true, benign = asked.passed & sure, part.truth[asked.field], indices(LABELS, BENIGN)
    missed = answered & np.isin(said.called, benign) & ~np.isin(true, benign)
    clean = asked.clean
    return {
        "gates": int((clean & ~asked.passed).sum()),
        "not_sure": int((clean & asked.passed & ~sure).sum()),
        "unanswered": to_builtins(Share.counted(int((clean & ~answered).sum()), int(clean.sum()))),
        "wrong": int((clean & answered & (said.called != true)).sum()),
        "missed": int((clean & missed).sum()),
        "forms": int((~clean).sum()),
        "missed_forms": int((~clean & missed).sum()),
    }


def _lines(record: Mapping[str, Any]) -> Iterator[str]:
    for name, found in record["networks"].items():
        for which in ("validation", "train+validation"):
            one = found[which]
            yield f"{name}, chosen from {which}: {one['answer_from']}"
            yield f"  expected {one['expected']['unanswered']}, missed {one['expected']['missed']}"
            yield f"  on test {one['on_test']}"
        yield f"{name}, shipped, on test: {found['shipped_on_test']}"


def study(data: str, work: str, seconds: str = "86400", out: str = "", json: bool = False) -> CrossFitStudy:
    """Choose thresholds by cross-fitting, and judge them on fields they never saw.

    Args:
        data: folder of the published images, a folder a class.
        work: folder that keeps what the networks said.
        seconds: after which to stop asking; the same command continues.
        out: JSON to write.
        json: print it.
    """
    return CrossFitStudy(
        data=Path(data), work=Path(work), seconds=whole_number(seconds, "--seconds"), **output(out, json)
    )


if __name__ == "__main__":
    run({"run": study})
