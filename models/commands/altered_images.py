"""The questions of `models evaluate --corruptions` and `--counterfactuals`."""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge.commands.command_line import Outcome
from edge.errors import DONE
from edge.system.files import require_file, write_whole
from models.commands.network_options import EvaluationOptions
from models.support.records import as_json, write_json

if TYPE_CHECKING:
    import msgspec

    from models.evaluation.evaluation_set import EvaluationSet
    from models.networks.model_pair import ModelPair

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class _AlteredImagesRequest(EvaluationOptions):
    """Ask a trained network, and the int8 bundle made of it, about altered forms of images it has not seen.

    Attributes:
        bundle: None for the float network alone. sample: so many images instead of all, or None.
    """

    bundle: Path | None
    sample: int | None

    def execute(self) -> Outcome:
        """Writes the record at `out` and a figure beside it."""
        from models.evaluation.evaluation_set import EvaluationSet
        from models.networks.model_pair import load_pair
        from models.report.figure_style import render

        require_file(self.out, "--out")
        pair = load_pair(self.model, self.bundle, self.code)
        if self.bundle is None:
            _log.info("note: no --bundle, so the float network is judged alone")
        labels = pair.contract.labels
        part, split = self.load_part(pair.contract)
        dataset = EvaluationSet.of_part(part, labels, pair.contract.benign_labels, self.sample)
        about = f"{self.model.name}, {len(dataset.truth)} images of the {self.part} part"
        found, text, figure = self._ask(dataset, pair, about)
        record = as_json(pair.provenance(split, self.sample), found)
        write_json(self.out, record)
        write_whole(self.out.with_suffix(".png"), render(figure))
        return Outcome(DONE, record, f"{text}\nwritten: {self.out}, {self.out.with_suffix('.png')}")

    def _ask(self, dataset: "EvaluationSet", pair: "ModelPair", about: str) -> "tuple[msgspec.Struct, str, Any]":
        """Record, text and figure; `about` says which images."""
        raise NotImplementedError


class CorruptionsRequest(_AlteredImagesRequest):
    """Degrade the images as microscopes do."""

    def _ask(self, dataset: "EvaluationSet", pair: "ModelPair", about: str) -> "tuple[msgspec.Struct, str, Any]":
        from models.evaluation.robustness import evaluate_corruptions, to_text
        from models.report.robustness_figure import robustness_figure

        found = evaluate_corruptions(dataset, pair.networks).to_record()
        return found, to_text(found), robustness_figure(found, f"{about}: accuracy on degraded fields")


class CounterfactualsRequest(_AlteredImagesRequest):
    """Exchange scale bars, paint them or the white cells out."""

    def _ask(self, dataset: "EvaluationSet", pair: "ModelPair", about: str) -> "tuple[msgspec.Struct, str, Any]":
        from models.evaluation.counterfactuals import evaluate_counterfactuals, to_text
        from models.report.counterfactual_figure import counterfactual_figure

        found = evaluate_counterfactuals(dataset, pair.networks)
        return found, to_text(found), counterfactual_figure(found, f"{about}: what changes the verdict")
