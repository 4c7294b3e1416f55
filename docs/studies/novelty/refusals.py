"""Refusals of the fitted novelty gate.

    python -m docs.studies.novelty.refusals --data IMAGES --others FOLDERS

Published fields, other images, drawn fields, and stand-ins for what is not at hand: another microscope's fields
(published test fields with other dyes, ground and magnification), and a stain, a class or a run of fields that the gate
was not fitted to. A shipped network is asked too: what matters is the leukemia that passes and is called Benign.
"""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from docs.studies.command import run, write_record
from docs.studies.gates.refusals import drawn_fields
from docs.studies.novelty.alternatives import Network, alternatives
from docs.studies.novelty.figure import draw
from docs.studies.novelty.other_microscopes import MICROSCOPES, cut_out, through
from docs.studies.novelty.page import with_tables
from docs.studies.novelty.published_fields import Part, read_others, read_parts
from docs.studies.novelty.published_fit import BUDGET
from edge.commands.command_line import Outcome
from edge.errors import DONE, UsageError
from edge.inference.benign import benign_labels
from edge.inference.contract import Pixels
from edge.inference.gates.novelty import NAME, Novelty
from edge.system.files import require_file, write_whole
from edge.system.option_values import switch
from models.data.published import LABELS
from models.decision.network_gates import published_gates
from models.decision.prototypes import Measured, distances, fit, measure, scores, taken, with_limits
from models.evaluation.corruptions import CORRUPTIONS, corrupt
from models.statistics.intervals import wilson
from models.support.versions import versions

_log = logging.getLogger(__name__)

RECORD, FIGURE = Path("docs/reference/novelty.json"), Path("docs/images/novelty.png")
NETWORK = "mobilenet_v2-int8"
(BENIGN,) = benign_labels(LABELS)
DRAWN = 200
SHARES = (0.25, 0.5, 1.0)  # of the way to another microscope's dyes
DEGRADED = ("scale", "stain_hue", "stain_intensity", "colour_temperature", "low_contrast", "defocus", "sensor_noise")
TOGETHER = ("stain_hue", "colour_temperature", "scale")
SEVERITIES = (1, 3, 5)
STRIDE = 3  # of the test fields that are degraded, and of those that other microscopes are asked about
FOLDS, STAINS, BLOCKS = 5, 12, 5
SEED = 0
_RESAMPLES = 1000
_QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
Flags = npt.NDArray[np.bool_]
Values = npt.NDArray[np.float64]


@dataclass(frozen=True)
class NoveltyRefusals:
    """Measure the shipped gate and write what it does."""

    data: Path
    others: Path
    record: Path
    figure: Path
    page: Path | None
    json: bool

    def execute(self) -> Outcome:
        """Writes two files, and the tables of the page. Exit 0."""
        if self.page is not None and not self.page.is_file():
            raise UsageError(f"--page must be a file with the tables; got {self.page}")
        require_file(self.record, "--record")
        require_file(self.figure, "--figure")
        parts, others = read_parts(self.data), read_others(self.others)
        record = measured_refusals(_shipped(), parts, others)
        record["versions"] = versions()
        write_record(self.record, record)
        write_whole(self.figure, draw(record))
        if self.page is not None:
            write_whole(self.page, with_tables(self.page.read_text(encoding="utf-8"), record))
        return Outcome(DONE, record, _text(record))


def measured_refusals(novelty: Novelty, parts: Mapping[str, Part], others: Mapping[str, Pixels]) -> dict[str, Any]:
    """The record of a gate on the published parts and on sets of other images by name."""
    test, network = parts["test"], Network(NETWORK)
    measured = {name: measure(part.pixels) for name, part in parts.items()}
    drawn = np.stack(drawn_fields(DRAWN))
    usual = scores(novelty, measured["test"])
    record: dict[str, Any] = {
        "network": NETWORK,
        "limits": {name: family.limit for name, family in novelty.families.items()},
        "published": {},
        "sets": {},
    }
    for name, part in parts.items():
        _log.info(f"{name}: {len(part.labels)} fields")
        record["published"][name] = _judged(novelty, part.pixels, measured[name], part.labels)
    for name, frames in {**others, "drawn": drawn}.items():
        _log.info(f"{name}: {len(frames)} images")
        found = measure(frames)
        called = network.calls_benign(frames)
        record["sets"][name] = {
            **_judged(novelty, frames, found),
            "auroc": _auroc(usual, scores(novelty, found)),
            "called_benign": int(called.sum()),
        }
    _log.info("fields and stains left out")
    record["cross_fitted"] = _cross_fitted(parts["train"], measured)
    record["left_out"] = _left_out(parts, measured)
    record["other_microscopes"] = list(_other_microscopes(novelty, test, network))
    record["degraded"] = list(_degraded(novelty, test, network))
    record["alternatives"] = _alternatives(parts, others)
    return record


def _shipped() -> Novelty:
    gate = published_gates().gates().gates[-1]
    assert isinstance(gate, Novelty)
    return gate


def _judged(novelty: Novelty, frames: Pixels, measured: Measured, labels: Sequence[str] | Any = ()) -> dict[str, Any]:
    """What the gate and what all gates refuse, by class too, and how the gate's values are spread."""
    values = scores(novelty, measured)
    strange = values > 1
    spoilt = _spoilt(frames)
    record = {
        "refused": _counted(strange),
        "refused_by_all_gates": _counted(strange | spoilt),
        "most_unusual": _reasons(novelty, measured, strange),
        "quantiles": {f"{q:g}": round(float(np.quantile(values, q)), 4) for q in _QUANTILES},
    }
    if len(labels):
        record["by_class"] = {label: _counted(strange[labels == label]) for label in LABELS}
    return record


def _spoilt(frames: Iterable[Pixels]) -> Flags:
    gates = published_gates().gates().without([NAME])
    return np.array([gates.check(pixels).refusal is not None for pixels in frames])


def _counted(refused: Flags) -> dict[str, Any]:
    count, total = int(refused.sum()), len(refused)
    interval = [round(bound, 5) for bound in wilson(count, total).to_record()]
    return {"images": total, "refused": count, "share": round(count / total, 5), "interval": interval}


def _reasons(novelty: Novelty, measured: Measured, strange: Flags) -> dict[str, int]:
    """What is most unusual about the refused -> how many."""
    found: dict[str, int] = {}
    for number in np.flatnonzero(strange).tolist():
        shares = novelty.shares_of({name: values[number] for name, values in measured.items()})
        word = max(shares.values())[1]
        found[word] = found.get(word, 0) + 1
    return dict(sorted(found.items(), key=lambda item: -item[1]))


def _auroc(usual: Values, strange: Values) -> dict[str, Any]:
    """Area under the ROC curve with a 95 % percentile bootstrap interval, both samples redrawn."""
    random = np.random.default_rng(SEED)

    def area(low: Values, high: Values) -> float:
        ordered = np.sort(low)
        below = np.searchsorted(ordered, high, "left") + np.searchsorted(ordered, high, "right")
        return float(below.mean() / (2 * len(low)))

    drawn = [area(random.choice(usual, len(usual)), random.choice(strange, len(strange))) for _ in range(_RESAMPLES)]
    interval = [round(float(bound), 5) for bound in np.percentile(drawn, (2.5, 97.5))]
    return {"value": round(area(usual, strange), 5), "interval": interval}


def _cross_fitted(train: Part, measured: Mapping[str, Measured]) -> dict[str, Any]:
    """Training fields judged by gates fitted to the others: five folds by microscope field, limits of validation."""
    groups = np.unique(train.groups)
    fold_of = dict(zip(groups, np.random.default_rng(SEED).integers(0, FOLDS, len(groups)), strict=True))
    folds = np.array([fold_of[group] for group in train.groups])
    strange = np.zeros(len(folds), bool)
    for number in range(FOLDS):
        strange[folds == number] = _unseen(train, measured, folds != number, taken(measured["train"], folds == number))
    return {"refused": _counted(strange), "refused_by_all_gates": _counted(strange | _spoilt(train.pixels))}


def _unseen(train: Part, measured: Mapping[str, Measured], fitted: Flags, asked: Measured) -> Flags:
    """Which rows of `asked` a gate refuses that was fitted to the training fields `fitted` flags."""
    refitted = fit(taken(measured["train"], fitted), train.labels[fitted])
    refitted = with_limits(refitted, distances(refitted, measured["validation"]))
    return scores(refitted, asked) > 1


def _left_out(parts: Mapping[str, Part], measured: Mapping[str, Measured]) -> dict[str, Any]:
    """Test fields of a class, a stain, or a run of file numbers that neither fit nor limits knew."""
    from sklearn.cluster import KMeans

    stain = measured["train"]["stain"]
    scale = stain.std(axis=0)
    stains = KMeans(STAINS, n_init=4, random_state=SEED).fit(stain / scale)
    kinds: dict[str, Callable[[str], npt.NDArray[Any]]] = {
        "class": lambda name: parts[name].labels,
        "stain": lambda name: stains.predict(measured[name]["stain"] / scale),
        "block of file numbers": lambda name: _blocks(parts, parts[name]),
    }
    record: dict[str, Any] = {}
    for kind, of in kinds.items():
        train, validation, test = (of(name) for name in ("train", "validation", "test"))
        rows = []
        for value in np.unique(train):
            if not (test == value).any():
                continue
            own = {"train": measured["train"], "validation": taken(measured["validation"], validation != value)}
            strange = _unseen(parts["train"], own, train != value, taken(measured["test"], test == value))
            rows.append({"left_out": str(value), "training_images": int((train == value).sum()), **_counted(strange)})
        total = _counted(np.repeat([True, False], [sum(r["refused"] for r in rows),
                                                   sum(r["images"] - r["refused"] for r in rows)]))  # fmt: skip
        record[kind] = {"rows": rows, "all": total}
    return record


def _blocks(parts: Mapping[str, Part], part: Part) -> npt.NDArray[np.str_]:
    """Class and fifth of its file numbers: neighbours in number are often of one patient."""
    numbers = {name: np.array([int(Path(n).stem.rsplit("-", 1)[1]) for n in parts[name].names]) for name in parts}
    own = np.array([int(Path(name).stem.rsplit("-", 1)[1]) for name in part.names])
    blocks = np.empty(len(own), object)
    for label in LABELS:
        known = np.concatenate([numbers[name][parts[name].labels == label] for name in parts])
        edges = np.quantile(known, np.arange(1, BLOCKS) / BLOCKS)
        which = part.labels == label
        blocks[which] = [f"{label} {1 + int(np.searchsorted(edges, number))}" for number in own[which]]
    return blocks.astype(str)


def _other_microscopes(novelty: Novelty, test: Part, network: Network) -> Iterable[dict[str, Any]]:
    """Leukemia of the test part as other microscopes might show it."""
    fields = test.pixels[test.labels != BENIGN][::STRIDE]
    for name, microscope in MICROSCOPES.items():
        for share in SHARES if microscope.ground else (1.0,):
            _log.info(f"leukemia, {name}, {share:g} of the way")
            frames = np.stack([through(pixels, microscope, share) for pixels in fields])
            yield {"microscope": name, "way": share, **_asked(novelty, frames, network)}
    cells = [cell for cell in map(cut_out, fields) if cell is not None]
    yield {"microscope": "one cell cut out on black", "way": 1.0, **_asked(novelty, np.stack(cells), network)}


def _degraded(novelty: Novelty, test: Part, network: Network) -> Iterable[dict[str, Any]]:
    """Leukemia of the test part, degraded by `models.evaluation.corruptions`, one way at a time and three together."""
    which = np.flatnonzero(test.labels != BENIGN)[::STRIDE]
    for kinds in (*((name,) for name in DEGRADED), TOGETHER):
        for severity in SEVERITIES:
            _log.info(f"leukemia, {' + '.join(kinds)}, severity {severity}")
            frames = []
            for number in which:
                pixels = test.pixels[number]
                for kind in kinds:
                    pixels = corrupt(pixels, kind, severity, str(test.names[number]))
                frames.append(pixels)
            says = " + ".join(CORRUPTIONS[kind].says(severity) for kind in kinds)
            row = {"kind": " + ".join(kinds), "severity": severity, "value": says}
            yield {**row, **_asked(novelty, np.stack(frames), network)}


def _asked(novelty: Novelty, leukemia: Pixels, network: Network) -> dict[str, Any]:
    """Frames of leukemia: refused by the gate, by all, called Benign by the network, and both passed and so called."""
    strange = scores(novelty, measure(leukemia)) > 1
    refused, benign = strange | _spoilt(leukemia), network.calls_benign(leukemia)
    return {
        **_counted(strange),
        "refused_by_all_gates": int(refused.sum()),
        "called_benign": int(benign.sum()),
        "passed_and_called_benign": int((benign & ~refused).sum()),
    }


def _alternatives(parts: Mapping[str, Part], others: Mapping[str, Pixels]) -> list[dict[str, Any]]:
    """Every alternative with a limit that the budget's share of the validation images exceed."""
    validation, test = parts["validation"], parts["test"]
    ill = validation.pixels[validation.labels != BENIGN][::4]
    stand_ins: dict[str, Pixels] = {}
    for share in (0.5, 1.0):
        dyed = [through(p, m, share) for m in MICROSCOPES.values() if m.ground and m.zoom == 1 for p in ill[::2]]
        stand_ins[f"other dyes, {share:g} of the way"] = np.stack(dyed)
    sized = [through(p, m) for m in MICROSCOPES.values() if m.ground is None for p in ill[::2]]
    stand_ins["own dyes, other magnification"] = np.stack(sized)
    rows = []
    for name, score in alternatives(parts["train"], NETWORK, _shipped()).items():
        _log.info(f"alternative: {name}")
        limit = float(np.quantile(score(validation.pixels), 1 - BUDGET, method="higher"))
        usual = score(test.pixels)
        row: dict[str, Any] = {"name": name, "limit": round(limit, 4), "test": _counted(usual > limit), "sets": {}}
        for title, frames in {**others, **stand_ins}.items():
            strange = score(frames)
            row["sets"][title] = {"share": round(float((strange > limit).mean()), 4)}
            row["sets"][title]["auroc"] = _auroc(usual, strange)["value"]
        rows.append(row)
    return rows


def show(
    data: str, others: str, record: str = str(RECORD), figure: str = str(FIGURE), page: str = "", json: bool = False
) -> NoveltyRefusals:
    """Measure what the shipped novelty gate refuses.

    Args:
        data: folder of the published images, a folder a class.
        others: folder of folders of images that are no fields of this set.
        record: JSON to write.
        figure: PNG to write: the same, drawn.
        page: Markdown whose tables are to be written anew.
        json: print the record as JSON.
    """
    page_ = Path(page) if page else None
    return NoveltyRefusals(Path(data), Path(others), Path(record), Path(figure), page_, switch(json, "--json"))


def _text(record: Mapping[str, Any]) -> str:
    lines = []
    for name, entry in {**record["published"], **record["sets"]}.items():
        counts = entry["refused"]
        low, high = (100 * bound for bound in counts["interval"])
        line = f"{name}: {counts['refused']} of {counts['images']} refused, {100 * counts['share']:.1f} % "
        line += f"({low:.1f} to {high:.1f}), with the other gates {entry['refused_by_all_gates']['refused']}"
        lines.append(line + (f"; AUROC {entry['auroc']['value']:.4f}" if "auroc" in entry else ""))
    return "\n".join(lines)


if __name__ == "__main__":
    run({"show": show}, "show")
