"""What an adapted head is held against, in the same slide-disjoint folds: six colours, the network as it is, it with
batch-norm statistics of the site, and fields with their stain normalized."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from edge.inference.contract import InputContract, Pixels
from edge.inference.images import read_image
from edge.inference.tiles import pool, prepare_tiles, rule_for
from edge.system.progress import Progress
from models.adaptation.adaptation_record import Comparison, Method
from models.adaptation.judging.comparison import compared
from models.adaptation.judging.counting import Judged, mapped
from models.adaptation.judging.selection import START, Labelled, Nested, Setting, nested, settings_of
from models.adaptation.network.backbone import Backbone
from models.adaptation.network.features import SiteFeatures
from models.networks.prediction import BATCH
from models.site.fields import SiteField

COLOUR_STRENGTHS, COLOUR_START = (0.05, 0.5, 5.0, 50.0), 5.0
STATISTICS_TILES = 256  # that batch-norm statistics are re-estimated from, at most
_UNTRAINED = "ImageNet's weights have no head for blood cells"
_OTHER_CLASSES = "its classes are not the site's, and no label here or there is benign"


def six_colours(data: Labelled, features: SiteFeatures) -> Method:
    """Mean and standard deviation of R, G and B of the frame alone: how far colour gets."""
    numbers = features.colours[:, None, None, :]
    plain = Labelled(data.labels, data.benign, numbers, data.truth, data.slides, data.folds)
    found = nested(plain, settings_of(COLOUR_STRENGTHS, varied=False), Setting(COLOUR_START, False)).judged()
    return method("six_colours", "mean and standard deviation of red, green and blue, no cell", found)


def network_as_it_is(data: Labelled, features: SiteFeatures, backbone: Backbone) -> Method:
    """The network's own head, nothing learned at this site."""
    text = f"{backbone.name} as it is, nothing learned here"
    own = backbone.own_head(features.values[:, 0].reshape(-1, features.values.shape[-1]))
    if own is None:
        return Method(name="as_it_is", text=text, why_not=_UNTRAINED)
    tiles = own.reshape(*features.values[:, 0].shape[:2], -1)
    answers = mapped(_pooled(tiles, backbone), backbone.labels or (), backbone.benign, data.labels, data.benign)
    if answers is None:
        return Method(name="as_it_is", text=text, why_not=_OTHER_CLASSES)
    return method("as_it_is", text, data.judged(np.ones(len(data.truth), np.bool_), answers[0], coarse=answers[1]))


def stain_normalized(data: Labelled, features: SiteFeatures, tried: Nested) -> Method:
    """A head on features of fields whose stain was normalized, against the same head without.

    It is never taken, whatever comes out: a device would have to normalize alike, and no contract says so.
    """
    setting = Setting(START, False)
    there = Labelled(data.labels, data.benign, features.normalized[:, None], data.truth, data.slides, data.folds)
    found = np.zeros((len(data.truth), len(data.labels)))
    for fold in sorted(set(data.folds.tolist())):
        held = data.folds == fold
        found[held] = there.called(held, there.heads(~held, [setting])[setting])
    every = np.ones(len(data.truth), np.bool_)
    judged, plain = data.judged(every, found), data.judged(every, tried.probabilities[setting])
    text = "mean and spread of each field's optical density moved to one stain, and a linear head on the features"
    return method("normalized", text, judged, compared(judged, plain, "without_variations"))


def _pooled(tiles: npt.NDArray[Any], backbone: Backbone) -> npt.NDArray[np.float64]:
    """(N, classes) of (N, tiles, classes) of the network's own head, by the rule of its own classes."""
    return np.asarray(pool(tiles, *rule_for(backbone.labels or (), backbone.benign)), np.float64)


def batch_norm_statistics(
    data: Labelled, fields: Sequence[SiteField], backbone: Backbone, contract: InputContract, setting: Setting
) -> tuple[Method, Method]:
    """Batch-norm statistics re-estimated on the other folds' fields, whose labels are not used: with the network's own
    head, and with a head fitted to the features that come out."""
    label_free = "batch_norm_own_head", f"{backbone.name} with batch-norm statistics of this site, its own head"
    fitted = "batch_norm_new_head", "batch-norm statistics of this site, and a linear head on the features of that"
    folds = sorted(set(data.folds.tolist()))
    own_answers, coarse = np.zeros((len(fields), len(data.labels))), False
    new, mapped_any, why_not = np.zeros_like(own_answers), False, ""
    with Progress("batch-norm statistics", len(folds) * len(fields)) as bar:
        for fold in folds:
            held = data.folds == fold
            changed = backbone.with_statistics_of(_some_tiles(fields, ~held, contract, fold))
            if changed is None:
                why_not = "its batch norms are folded into the convolutions, or it has none"
                break
            values = _features(changed, fields, contract, bar)
            there = Labelled(data.labels, data.benign, values[:, None], data.truth, data.slides, data.folds)
            plain = Setting(setting.strength, False)
            new[held] = there.called(held, there.heads(~held, [plain])[plain])
            own = changed.own_head(values[held].reshape(-1, values.shape[-1]))
            if own is not None:
                pooled = _pooled(own.reshape(*values[held].shape[:2], -1), backbone)
                answers = mapped(pooled, backbone.labels or (), backbone.benign, data.labels, data.benign)
                if answers is not None:
                    mapped_any, (own_answers[held], coarse) = True, answers
    if why_not:
        return _untried(label_free, why_not), _untried(fitted, why_not)
    every = np.ones(len(data.truth), np.bool_)
    first = _untried(label_free, _UNTRAINED if backbone.labels is None else _OTHER_CLASSES)
    if mapped_any:
        first = method(*label_free, data.judged(every, own_answers, coarse=coarse))
    return first, method(*fitted, data.judged(every, new))


def method(name: str, text: str, judged: Judged, against: Comparison | None = None) -> Method:
    """Slides and fields counted."""
    return Method(
        name=name,
        text=text,
        slides=judged.by_slide().counted(),
        fields=judged.counted(),
        log_loss=judged.log_loss(),
        compared=against,
    )


def _some_tiles(fields: Sequence[SiteField], rows: npt.NDArray[np.bool_], contract: InputContract, seed: int) -> Pixels:
    """Up to STATISTICS_TILES tiles of fields drawn from `rows`, classes unknown."""
    order = np.random.default_rng(seed).permutation(np.flatnonzero(rows))
    chosen = order[: max(1, STATISTICS_TILES // contract.tile_count)].tolist()
    return np.concatenate([prepare_tiles(contract, read_image(fields[k].sample.path)) for k in chosen])


def _features(
    backbone: Backbone, fields: Sequence[SiteField], contract: InputContract, bar: Progress
) -> npt.NDArray[np.float32]:
    """(N, tiles, D)."""
    at_once, rows = max(1, BATCH // contract.tile_count), []
    for start in range(0, len(fields), at_once):
        some = fields[start : start + at_once]
        tiles = np.concatenate([prepare_tiles(contract, read_image(each.sample.path)) for each in some])
        rows.append(backbone.features(tiles).reshape(len(some), contract.tile_count, -1))
        bar.advance(len(some))
    return np.concatenate(rows)


def _untried(named: tuple[str, str], why_not: str) -> Method:
    return Method(name=named[0], text=named[1], why_not=why_not)
