"""The gates of a site's network: fitted to whole frames of all its fields, and tried on slides that they were not
fitted to."""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
import numpy.typing as npt

from edge.inference.contract import InputContract
from edge.inference.domain import Domain
from edge.inference.gates.gates_file import GatesFile, JudgedGates
from edge.system.progress import Progress
from models.adaptation.adaptation_record import GatesJudged
from models.adaptation.judging.counting import share
from models.data.dataset import load_pixels
from models.decision.gates_fit import GateImages, fit_measured, measure
from models.errors import TooFewFieldsError
from models.site.fields import SiteField

FEWEST_FRAMES = 40  # measured: with 20 in all a site's gates refused a quarter of its own further fields


@dataclass(frozen=True, eq=False)
class SiteGates:
    """Gates, and what they do.

    Attributes:
        file: fitted to all fields; `judged` in it is of folds. passed: bool (N,), each field by gates that were fitted
            without its fold. judged: the same, counted.
    """

    file: GatesFile
    passed: npt.NDArray[np.bool_]
    judged: GatesJudged


def require_frames(fields: Sequence[SiteField]) -> None:
    """TooFewFieldsError where there are too few fields for gates; to be asked before anything that takes minutes."""
    if len(fields) < FEWEST_FRAMES:
        raise TooFewFieldsError(
            f"data must hold {FEWEST_FRAMES} fields or more: with fewer nobody can say when the network must not be "
            f"asked; got {len(fields)}"
        )


def fit_site_gates(
    domain: Domain, fields: Sequence[SiteField], contract: InputContract, folds: npt.NDArray[np.intp], command: str
) -> SiteGates:
    """Fit gates to whole frames, prepared to the contract's size.

    Args:
        folds: (N,) slide-disjoint fold of each field.
        command: for the file.

    Raises:
        TooFewFieldsError: fewer than 40 fields.
    """
    require_frames(fields)
    samples = [field.sample for field in fields]
    labels = np.array([field.label for field in fields], np.str_)
    slides = np.array([field.slide for field in fields], np.str_)
    images = GateImages(load_pixels(samples, contract.untiled()), labels, slides)
    own = measure(domain, images)
    file = fit_measured(domain, contract.size, own, command)
    passed = np.ones(len(fields), np.bool_)
    by_gate: dict[str, int] = dict.fromkeys(file.gates().names, 0)
    chosen = sorted(set(folds.tolist()))
    with Progress("gates in slide-disjoint folds", len(chosen)) as bar:
        for fold in chosen:
            held = folds == fold
            gates = fit_measured(domain, contract.size, own.of(~held), command).gates()
            for number in np.flatnonzero(held).tolist():
                report = gates.check(images.pixels[number])
                passed[number] = report.refusal is None
                for reading in report.readings:
                    by_gate[reading.gate] += reading.refused
            bar.advance()
    refused = share(int((~passed).sum()), len(fields))
    assert refused.interval is not None
    counted = JudgedGates(refused.of, refused.count, (refused.interval.low, refused.interval.high), by_gate)
    return SiteGates(msgspec.structs.replace(file, judged=counted), passed, GatesJudged(refused, by_gate))
