"""Fine-tuning of the network's last block, against the frozen network, in the same nested slide-disjoint folds.

Each fold's choice is its other folds': the block is taken only if their loss by slide is lower by more than chance.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
import numpy.typing as npt

from edge.inference.contract import InputContract
from edge.inference.tiles import pool, rule_for
from edge.system.progress import Progress
from models.adaptation.adaptation_record import Method
from models.adaptation.judging.baselines import method
from models.adaptation.judging.comparison import beyond_chance, compared
from models.adaptation.judging.linear_head import field_weights
from models.adaptation.judging.selection import START, Floats, Labelled, Nested, Setting
from models.adaptation.network.field_views import field_views
from models.adaptation.network.last_blocks import LastBlock, Tuner, Weights
from models.errors import AdaptationError
from models.site.fields import SiteField
from models.support.keyed_random import draw

FIRST = Setting(START, True)  # the head that is tuned on
TUNED = replace(FIRST, tuned=True)
MOST_BYTES = 2**30  # of what enters the block


@dataclass(frozen=True, eq=False)
class FineTuned:
    """What came of it.

    Attributes:
        nested: with TUNED among the settings, chosen for each fold whose other folds say so.
        weights: fold -> block and head made without it. rows: for the record.
    """

    nested: Nested
    weights: Mapping[int, Weights]
    rows: tuple[Method, ...]


def block_inputs(
    block: LastBlock, fields: Sequence[SiteField], contract: InputContract, views: int
) -> npt.NDArray[np.float32]:
    """(N, 1 + views, tiles, h, w, channels): what enters the block of each field and its stain variations.

    Raises:
        AdaptationError: more than fits into MOST_BYTES.
    """
    found: npt.NDArray[np.float32] | None = None
    with Progress("fields for the last block", len(fields)) as bar:
        for number, field in enumerate(fields):
            tiles = field_views(field, contract, views).tiles[: 1 + views]
            one = block.inputs(tiles.reshape(-1, *tiles.shape[-3:]))
            if found is None:
                if one.nbytes * len(fields) > MOST_BYTES:
                    most = MOST_BYTES // one.nbytes
                    raise AdaptationError(f"--fine-tune takes up to {most} fields of this network; got {len(fields)}")
                found = np.empty((len(fields), *tiles.shape[:2], *one.shape[1:]), np.float32)
            found[number] = one.reshape(found.shape[1:])
            bar.advance()
    assert found is not None
    return found


def fine_tuned(tried: Nested, tuner: Tuner, inputs: npt.NDArray[np.float32]) -> FineTuned:
    """Tune without each fold and each pair of folds, and let every fold's other folds choose.

    Args:
        tried: of the frozen network, FIRST among its settings. inputs: as of `block_inputs`.
    """
    data = tried.labelled
    folds = sorted(tried.chosen)
    pairs = list(combinations(folds, 2))
    answers = np.zeros((len(data.truth), len(data.labels)))
    weights: dict[int, Weights] = {}
    without = {pair: dict(tried.without[pair]) for pair in pairs}
    with Progress("fine-tuning in slide-disjoint folds", len(folds) + len(pairs)) as bar:
        for fold in folds:
            held = data.folds == fold
            weights[fold], answers[held] = _tuned(data, tuner, inputs, held, str(fold))
            bar.advance()
        for pair in pairs:
            held = np.isin(data.folds, pair)
            values = np.zeros_like(answers)
            if set(data.truth[~held].tolist()) == set(range(len(data.labels))):
                _, values[held] = _tuned(data, tuner, inputs, held, f"{pair}")
            else:
                values[held] = 1 / len(data.labels)
            without[pair][TUNED] = values
            bar.advance()
    both = replace(tried, probabilities={**tried.probabilities, TUNED: answers}, without=without)
    chosen = {fold: TUNED if _wins(both, fold) else setting for fold, setting in tried.chosen.items()}
    return FineTuned(replace(both, chosen=chosen), weights, _rows(tried, answers, chosen))


def _tuned(
    data: Labelled, tuner: Tuner, inputs: npt.NDArray[np.float32], held: npt.NDArray[np.bool_], key: str
) -> tuple[Weights, Floats]:
    """Block and head without the held fields, and what they call those."""
    head = data.heads(~held, [FIRST])[FIRST]
    slides = [slide for slide, out in zip(data.slides, held, strict=True) if not out]
    weights = field_weights(data.truth[~held], slides)
    found = tuner.tuned(inputs[~held], data.truth[~held], weights, head.folded(), draw("fine-tuning", key))
    tiles = tuner.probabilities(inputs[held][:, 0])
    return found, np.asarray(pool(tiles, *rule_for(data.labels, data.benign)), np.float64)


def _wins(both: Nested, fold: int) -> bool:
    data, rest = both.labelled, both.labelled.folds != fold
    frozen = data.judged(rest, both.inner(fold)[rest])
    tuned = data.judged(rest, replace(both, chosen={**both.chosen, fold: TUNED}).inner(fold)[rest])
    return beyond_chance(compared(tuned, frozen, "frozen"))


def _rows(frozen: Nested, answers: Floats, chosen: Mapping[int, Setting]) -> tuple[Method, ...]:
    judged = frozen.labelled.judged(np.ones(len(answers), np.bool_), answers)
    taken = any(each.tuned for each in chosen.values())
    against = compared(judged, frozen.judged(), "frozen" if taken else "adapted", taken=taken)
    row = method("fine_tuned", "the last block and a head, fine-tuned", judged, against)
    return (method("frozen", "linear head on frozen features", frozen.judged()), row) if taken else (row,)
