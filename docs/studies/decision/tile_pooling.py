"""Which rule pools tiles so that few blasts are not lost? Fields of drawn tiles, most of them benign, some with blasts.

    python -m docs.studies.decision.tile_pooling run --out FILE

A network answers drawn fields of its own view, which here are tiles. Fields are put together of them: n tiles, k of
which are of a leukemic recipe. A rule makes one score of n tiles; up to some score "Benign" is answered. That score is
chosen on one half of the tiles, in two ways: so that `ANSWERED` of the benign fields get the answer, or as thresholds
are chosen where every leukemic field is full of blasts: as high as goes without missing one of those, `FIXED` at most.
A third is `FIXED` itself. What comes of it is counted on the other half. Drawn smears say how rules compare, never how
often a smear is misread.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from docs.studies.command import Study, output, run
from edge.bundle.policy import shipped_bundles
from edge.cameras.synthetic.smear import SYNTHETIC_NOTICE, synthetic_fields
from edge.commands.command_line import Outcome
from edge.commands.records.tile_picture import draw_heat
from edge.errors import DONE
from edge.inference.benign import indices
from edge.inference.classifier import Classifier
from edge.inference.tiles import field_boxes
from edge.record.image_sampling import encode_png
from edge.serving.serve import serve
from edge.settings.model import ModelSettings
from edge.system.files import write_whole
from edge.system.option_values import whole_number

Doubts = npt.NDArray[np.float64]  # (fields, tiles): 1 - the probability of a benign class
TILES = (4, 6, 16, 64)
WITH_BLASTS = (1, 2, 4)  # tiles of a field that are of a leukemic recipe; and all of them
ANSWERED = 0.9  # of benign fields
FIXED = 0.1  # of doubt: about what a calibrated network is answered from
FIELDS = 4000  # of each kind, put together of the tiles of one half
SEED, DRAWN_SEED = 15, 4_000_000

RULES: Mapping[str, Callable[[Doubts], Doubts]] = {
    "mean": lambda tiles: tiles.mean(axis=1),
    "worst tile": lambda tiles: tiles.max(axis=1),
    "mean of the worst two": lambda tiles: np.sort(tiles, axis=1)[:, -2:].mean(axis=1),
    "mean of the worst quarter": lambda tiles: np.sort(tiles, axis=1)[:, -max(1, tiles.shape[1] // 4) :].mean(axis=1),
    "mean, at least half the worst": lambda tiles: np.maximum(tiles.mean(axis=1), tiles.max(axis=1) / 2),
}


@dataclass(frozen=True, kw_only=True)
class TilePooling(Study):
    """Compare the rules on `count` drawn tiles, by the networks that ship."""

    count: int

    def execute(self) -> Outcome:
        """Writes shares of fields that are answered "Benign", by network, tiles, rule and tiles with blasts."""
        frames = synthetic_fields(self.count, DRAWN_SEED)
        recipes = np.array([recipe for recipe, _ in frames])
        networks = {}
        for name in ("mobilenet_v2", "custom_cnn"):
            bundles = shipped_bundles()
            assert bundles is not None
            served = serve(ModelSettings(bundle=bundles / f"{name}-int8"))
            contract = served.classifier.contract
            benign = indices(contract.labels, contract.benign_labels)
            said = [served.classifier.probabilities(contract.prepare(frame)) for _, frame in frames]
            networks[name] = compared(1 - np.array(said, np.float64)[:, benign].sum(axis=1), recipes == "Benign")
        record = {
            "notice": SYNTHETIC_NOTICE,
            "tiles_drawn": self.count,
            "fields_of_each_kind": FIELDS,
            "benign_fields_answered_benign": ANSWERED,
            "fixed_doubt": FIXED,
            "networks": networks,
        }
        return self.finished(record, to_text(networks))


def tile_pooling(*, tiles: str = "400", out: str = "", json: bool = False) -> TilePooling:
    """Compare rules of pooling on fields with few blasts.

    Args:
        tiles: how many are drawn, in turns of the four recipes.
        out: record to write.
        json: print the record.
    """
    return TilePooling(count=whole_number(tiles, "--tiles", at_least=80), **output(out, json))


@dataclass(frozen=True)
class HeatPicture:
    """Draw the heat of a benign field with blasts in one of its 3x2 tiles, by the shipped mobilenet_v2."""

    path: Path
    json: bool = False

    def execute(self) -> Outcome:
        """Writes the picture in docs/images."""
        bundles = shipped_bundles()
        assert bundles is not None
        served = serve(ModelSettings(bundle=bundles / "mobilenet_v2-int8"))
        recipes = ["Benign", "Benign", "Benign", "Benign", "Pro", "Benign"]
        frames = [frame for _, frame in synthetic_fields(6, DRAWN_SEED, (320, 240), recipes)]
        field = np.vstack([np.hstack(frames[:3]), np.hstack(frames[3:])])
        contract = replace(served.classifier.contract, tiles=(3, 2))
        verdict = Classifier(contract, served.classifier.interpreter).classify(field)
        said = f"{verdict.label} {verdict.probabilities[verdict.index]:.3f}"
        picture = draw_heat(
            field,
            field_boxes(contract, (field.shape[1], field.shape[0])),
            verdict.tiles or (),
            labels=contract.labels,
            benign=contract.benign_labels,
            answer=f"a drawn field, nobody's smear: {verdict.detail or said}",
        )
        write_whole(self.path, encode_png(picture))
        return Outcome(DONE, {"path": str(self.path)}, f"written: {self.path}")


def heat_picture(path: str) -> HeatPicture:
    """Draw the picture of tiles for the documentation.

    Args:
        path: PNG to write.
    """
    return HeatPicture(Path(path))


def compared(doubt: Doubts, is_benign: npt.NDArray[np.bool_]) -> dict[str, Any]:
    """Of one network, from each tile's doubt (N,) and whether it is of the benign recipe (N,)."""
    rng = np.random.default_rng(SEED)
    half = rng.permutation(len(doubt)) % 2 == 0
    found: dict[str, Any] = {
        "tiles_with_blasts_called_benign": float((doubt[~is_benign] < 0.5).mean()),
        "benign_tiles_called_otherwise": float((doubt[is_benign] >= 0.5).mean()),
    }
    for count in TILES:
        fitted = _fields(doubt[half & is_benign], doubt[half & ~is_benign], count, 0, rng)
        judged = {
            k: _fields(doubt[~half & is_benign], doubt[~half & ~is_benign], count, k, rng)
            for k in (0, *(k for k in WITH_BLASTS if k < count), count)
        }
        full = _fields(doubt[half & is_benign], doubt[half & ~is_benign], count, count, rng)
        found[str(count)] = {}
        for rule, score in RULES.items():
            limits = {
                "benign fields": float(np.quantile(score(fitted), ANSWERED)),
                "full fields": min(FIXED, float(np.nextafter(score(full).min(), 0))),
                "fixed": FIXED,
            }
            found[str(count)][rule] = {
                way: {str(k): round(float((score(tiles) <= limit).mean()), 4) for k, tiles in judged.items()}
                for way, limit in limits.items()
            }
    return found


def _fields(benign: Doubts, blasts: Doubts, count: int, with_blasts: int, rng: np.random.Generator) -> Doubts:
    """(FIELDS, count) of tiles drawn with replacement, `with_blasts` of each field of a leukemic recipe."""
    return np.concatenate(
        [rng.choice(benign, (FIELDS, count - with_blasts)), rng.choice(blasts, (FIELDS, with_blasts))], axis=1
    )


def to_text(networks: Mapping[str, Any]) -> str:
    """A line a network, tiles and rule: percent answered Benign by tiles with blasts."""
    lines = []
    for name, found in networks.items():
        lines.append(
            f"{name}: of tiles with blasts {100 * found['tiles_with_blasts_called_benign']:.1f} % called Benign, of "
            f"benign ones {100 * found['benign_tiles_called_otherwise']:.1f} % called otherwise"
        )
        for count in TILES:
            for rule, ways in found[str(count)].items():
                for way, shares in ways.items():
                    said = ", ".join(f"{k}: {100 * share:.1f}" for k, share in shares.items())
                    lines.append(f"  {count:>2} tiles, {rule:<30} {way:<14} {said}")
    return "\n".join(lines)


if __name__ == "__main__":
    run({"run": tile_pooling, "picture": heat_picture})
