"""The adaptation of a network to a site, step by step: from labelled slides to a network that `convert quantize` takes.

Nothing is written but the cache of features before all of it is done. Every figure is of slides that the network which
answered was made without.
"""

import hashlib
import logging
import resource
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edge.inference.benign import check_named, recorded
from edge.inference.contract import InputContract
from edge.inference.domain import SMEAR
from edge.system.files import write_whole
from models.adaptation.adaptation_record import (
    FIT,
    PARITY,
    RECORD_FILE,
    RECORD_FORMAT,
    SPLIT_FILE,
    AdaptationRecord,
    ImageUsed,
    LearningCurve,
    Method,
    Recipe,
    Start,
)
from models.adaptation.judging.baselines import (
    batch_norm_statistics,
    method,
    network_as_it_is,
    six_colours,
    stain_normalized,
)
from models.adaptation.judging.fine_tuning import FineTuned, block_inputs, fine_tuned
from models.adaptation.judging.learning_curve import learning_curve
from models.adaptation.judging.linear_head import one_thread
from models.adaptation.judging.selection import START, STRENGTHS, Labelled, Nested, Setting, nested, settings_of
from models.adaptation.judging.site_decision import SiteDecision, decide
from models.adaptation.judging.site_gates import SiteGates, fit_site_gates, require_frames
from models.adaptation.network.backbone import Backbone, check_start, open_backbone
from models.adaptation.network.features import CACHE_FOLDER, SiteFeatures, site_features
from models.adaptation.network.last_blocks import LastBlock
from models.adaptation.network.network_file import network_bytes
from models.adaptation.network.tiling import Tiling, tiled, tiling_of
from models.adaptation.site_split import parity_fold, split_of
from models.data.dataset import load_pixels
from models.data.split import Split
from models.decision.network_gates import FILE as GATES_FILE
from models.errors import SiteRefusedError, TooFewFieldsError
from models.site.audit import audit_site
from models.site.audit_record import SiteAudit
from models.site.fields import SiteFields, require_one_camera
from models.site.slide_folds import most_folds, slide_folds
from models.support.records import as_json, write_json
from models.support.versions import versions
from models.training.training_statistics import STATISTICS_FILE, TrainingStatistics

_log = logging.getLogger(__name__)
_TOO_FEW = ("one_slide_a_class", "too_few_slides")  # refusals that say: not enough evidence

FOLDS = 5
VIEWS = 2  # stain variations of a field
SEED = 0
NETWORK_FILE, CONTRACT_FILE = "model.keras", "contract.json"


@dataclass(frozen=True)
class Plan:
    """What is to be made.

    Attributes:
        start, weights: as in `open_backbone`. benign: labels named so; () for those spelt so.
        tiles: (columns, rows); None measures red cells and cuts accordingly, (1, 1) takes the whole field.
        mixed_cameras: that several cameras took the fields is meant.
        fine_tune: whether the network's last block may learn on, where that helps beyond chance.
        command: for the records.
    """

    start: str = "mobilenet_v2"
    weights: Path | None = None
    benign: tuple[str, ...] = ()
    tiles: tuple[int, int] | None = None
    mixed_cameras: bool = False
    fine_tune: bool = False
    command: str = "models adapt"


@dataclass(frozen=True, eq=False)
class Adapted:
    """What was made.

    Attributes:
        record: `adaptation.json`. network: bytes of `model.keras`. gates: bytes of `gates.json`.
        statistics: of the pixels, for the lint of calibration sets.
    """

    record: AdaptationRecord
    network: bytes
    contract: InputContract
    gates: bytes
    split: Split
    statistics: TrainingStatistics

    def write(self, out: Path) -> None:
        """Every file whole; the record last, since it names the others."""
        write_whole(out / SPLIT_FILE, self.split.to_csv())
        write_whole(out / NETWORK_FILE, self.network)
        write_whole(out / GATES_FILE, self.gates)
        write_whole(out / STATISTICS_FILE, self.statistics.to_json())
        write_whole(out / CONTRACT_FILE, self.contract.to_json())
        write_json(out / RECORD_FILE, as_json(self.record))


@dataclass
class Watch:
    """Seconds a step took."""

    seconds: dict[str, float] = field(default_factory=dict)
    since: float = field(default_factory=time.monotonic)

    def step(self, name: str) -> None:
        now = time.monotonic()
        self.seconds[name] = round(now - self.since, 1)
        self.since = now


def adapt(site: SiteFields, plan: Plan, out: Path) -> Adapted:
    """Make a network for a site.

    Args:
        site: its labelled fields. out: folder whose `features` keeps what was calculated.

    Raises:
        SiteRefusedError: the audit refuses the site, by name (exit 1).
        TooFewFieldsError: fewer than five slides a class, or 40 fields (exit 3).
        AdaptationError, NetworkError, ContractError, DatasetError: the request cannot be met.
        KeyboardInterrupt: features that were calculated are kept.
    """
    with one_thread():
        return _adapt(site, plan, out)


def _adapt(site: SiteFields, plan: Plan, out: Path) -> Adapted:
    watch = Watch()
    check_start(plan.start, plan.weights)
    if plan.benign:
        check_named(site.labels, plan.benign)
    require_passed(audit_site(site, seed=SEED), by_features=False)
    if not plan.mixed_cameras:
        require_one_camera(site)
    require_frames(site.fields)
    watch.step("audit")
    _log.info("  loading the network, which takes some seconds the first time")
    backbone = open_backbone(plan.start, plan.weights)
    block = LastBlock.of(backbone) if plan.fine_tune else None
    contract, tiling = site_contract(site, backbone, plan.benign, plan.tiles)
    watch.step("load")
    features = site_features(backbone, contract, site.fields, VIEWS, out / CACHE_FOLDER)
    watch.step("features")
    audit = audit_site(
        site, features=features.by_field(site.fields), painted=features.painted_by_field(site.fields), seed=SEED
    )
    require_passed(audit)
    watch.step("audit by features")
    data = labelled(site, contract, features, audit)
    tried = nested(data, settings_of(STRENGTHS, varied=True), Setting(START, True))
    frozen, tuning = tried, None
    watch.step("folds")
    if block is not None:
        inputs = block_inputs(block, site.fields, contract, VIEWS)
        tuning = fine_tuned(frozen, block.tuner(len(contract.labels)), inputs)
        tried = tuning.nested
        watch.step("fine-tuning")
    gates = fit_site_gates(contract.domain or SMEAR, site.fields, contract, data.folds, plan.command)
    watch.step("gates")
    made = _made(site, plan, _network(backbone, tried, block, tuning), contract, tried, gates)
    watch.step("network and decision")
    setting, tuned = frozen.chosen[made.held], tried.chosen[made.held].tuned
    baselines = (
        six_colours(data, features),
        network_as_it_is(data, features, backbone),
        *batch_norm_statistics(data, site.fields, backbone, contract, setting),
        stain_normalized(data, features, frozen),
    )
    watch.step("baselines")
    curve = learning_curve(data, setting, tried.judged())  # of frozen features, whatever was taken
    watch.step("learning curve")
    recipe = Recipe(
        tiles=contract.tiles,
        red_cell_px=tiling.red_cell_px,
        strength=setting.strength,
        views=VIEWS if setting.varied or tuned else 0,
        folds=len(tried.chosen),
        seed=SEED,
        fine_tuned=tuned,
    )
    others = (_without_variations(tried), *(tuning.rows if tuning else ()))
    return _assembled(
        site, backbone, made, tried, gates, audit, baselines, others, curve, recipe, tiling, watch.seconds
    )


@dataclass(frozen=True, eq=False)
class _Made:
    """Network, contract with its decision, split; `held` is the fold that had no part in them."""

    held: int
    network: bytes
    contract: InputContract
    decision: SiteDecision
    split: Split
    statistics: TrainingStatistics


def _network(
    backbone: Backbone, tried: Nested, block: LastBlock | None, tuning: FineTuned | None
) -> Callable[[int], bytes]:
    """The file of the network that was made without a fold."""

    def made_without(fold: int) -> bytes:
        if tried.chosen[fold].tuned and block is not None and tuning is not None:
            return network_bytes(block.network(tuning.weights[fold]))
        return network_bytes(backbone.with_head(*tried.heads[fold].folded()))

    return made_without


def _made(
    site: SiteFields,
    plan: Plan,
    network_without: Callable[[int], bytes],
    contract: InputContract,
    tried: Nested,
    gates: SiteGates,
) -> _Made:
    data = tried.labelled
    held = parity_fold(data)
    fit = data.folds != held
    split = split_of(site, data.folds, held)
    network = network_without(held)
    decision = decide(
        contract.labels,
        contract.benign_labels,
        tried.inner(held)[fit],
        data.truth[fit],
        [slide for slide, taken in zip(data.slides, fit, strict=True) if taken],
        gates.passed[fit],
    )
    decided = decision.decision(plan.command, _sha256(network), _sha256(split.to_csv().encode()))
    samples = [each.sample for each, taken in zip(site.fields, fit, strict=True) if taken]
    statistics = TrainingStatistics.measure(load_pixels(samples, contract))
    return _Made(held, network, replace(contract, decision=decided), decision, split, statistics)


def _assembled(
    site: SiteFields,
    backbone: Backbone,
    made: _Made,
    tried: Nested,
    gates: SiteGates,
    audit: SiteAudit,
    baselines: tuple[Method, ...],
    others: tuple[Method, ...],
    curve: LearningCurve,
    recipe: Recipe,
    tiling: Tiling,
    seconds: dict[str, float],
) -> Adapted:
    contract, fit, judged = made.contract, tried.labelled.folds != made.held, tried.judged()
    rows = [tuple(round(float(value), 6) for value in row) for row in judged.probabilities]
    decision = made.decision.fitted
    way = "last block and head, fine-tuned," if recipe.fine_tuned else "linear head on frozen features"
    record = AdaptationRecord(
        format=RECORD_FORMAT,
        site=site.root.resolve().name,
        labels=contract.labels,
        benign=recorded(contract.benign_labels),
        model_sha256=_sha256(made.network),
        split_sha256=_sha256(made.split.to_csv().encode()),
        start=Start(
            name=backbone.name,
            network_sha256=backbone.sha256,
            weights_sha256=backbone.weights_sha256,
            features=backbone.count,
        ),
        recipe=recipe,
        images=tuple(
            ImageUsed(each.sample.name, each.sample.sha256, each.slide, each.label, FIT if taken else PARITY, row)
            for each, taken, row in zip(site.fields, fit, rows, strict=True)
        ),
        slides=_slides(site, fit),
        parity_slides=_slides(site, ~fit),
        adapted=method("adapted", f"{way} of {backbone.name}", judged),
        baselines=baselines,
        tried=others,
        temperature=decision.temperature,
        answer_from=dict(zip(contract.labels, decision.point.answer_from, strict=True)),
        expected=made.decision.expected,
        gates=gates.judged,
        curve=curve,
        audit=audit,
        versions=versions(),
        seconds=seconds,
        notes=_notes(contract, tiling),
        peak_rss_mb=round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
    )
    return Adapted(record, made.network, contract, gates.file.to_bytes(), made.split, made.statistics)


def labelled(site: SiteFields, contract: InputContract, features: SiteFeatures, audit: SiteAudit) -> Labelled:
    """The site's fields in slide-disjoint folds, as its audit says what must be held out whole."""
    folds = min(FOLDS, most_folds(site, audit.hold))
    fold_of = slide_folds(site, folds, SEED, hold=audit.hold)
    return Labelled(
        contract.labels,
        contract.benign_labels,
        features.values,
        np.array([contract.labels.index(each.label) for each in site.fields], np.intp),
        tuple(each.slide for each in site.fields),
        np.array([fold_of[each.slide] for each in site.fields], np.intp),
    )


def site_contract(
    site: SiteFields, backbone: Backbone, benign: tuple[str, ...], tiles: tuple[int, int] | None
) -> tuple[InputContract, Tiling]:
    """The contract of the site's network, without decision, and how its fields are cut.

    Args:
        tiles: as asked for; None measures red cells.

    Raises:
        ContractError: `benign` names no label.
    """
    contract = replace(
        backbone.contract,
        labels=site.labels,
        benign=benign or None,
        domain=backbone.contract.domain or SMEAR,
        tiles=None,
    )
    tiling = tiling_of(site.fields, contract) if tiles is None else Tiling(tiles)
    return tiled(contract, tiling.tiles), tiling


def require_passed(audit: SiteAudit, *, by_features: bool = True) -> None:
    """Raise where an audit refuses a site.

    Args:
        by_features: of the network that will be used; without them labels at chance may only mean that colours and
            simple measures see no disease.

    Raises:
        TooFewFieldsError: too few slides, and nothing else. SiteRefusedError: any other refusal; all are named.
    """
    binding = [each for each in audit.refusals if by_features or each.name != "labels_at_chance"]
    if not binding:
        return
    text = "; ".join(map(str, binding))
    if all(each.name in _TOO_FEW for each in binding):
        raise TooFewFieldsError(f"too few slides to adapt to: {text}")
    raise SiteRefusedError(f"the audit refuses this site: {text}")


def _without_variations(tried: Nested) -> Method:
    data, start = tried.labelled, Setting(START, False)
    judged = data.judged(np.ones(len(data.truth), np.bool_), tried.probabilities[start])
    return method("without_variations", f"the same without stain variations, C = {START:g}", judged)


def _slides(site: SiteFields, rows: npt.NDArray[np.bool_]) -> dict[str, int]:
    """label -> slides among these fields."""
    taken = [each for each, yes in zip(site.fields, rows, strict=True) if yes]
    return {label: len({each.slide for each in taken if each.label == label}) for label in site.labels}


def _notes(contract: InputContract, tiling: Tiling) -> tuple[str, ...]:
    notes = [tiling.note] if tiling.note else []
    if not contract.benign_labels:
        notes.append("no label is benign, so that missed leukemic slides cannot be counted: --benign LABEL names it")
    return tuple(notes)


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
