"""What `models cross-validate` does."""

import logging
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from edge.commands.command_line import Outcome
from edge.errors import DONE, UsageError
from edge.inference.contract import InputContract
from edge.system.files import require_file, require_writable
from models.support.records import write_json

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class CrossValidateJob:
    """Judge a recipe by cross-validation, by one scheme or several.

    `epochs`: of the last stage, None for the short recipe's own; `working`: where a killed run continues from.
    """

    network: str
    data: Path
    schemes: tuple[str, ...]
    folds: int
    epochs: int | None
    weights: Path | None
    size: int
    seed: int
    working: Path
    out: Path
    json: bool

    def execute(self) -> Outcome:
        """Writes the record at `out` after every scheme; entries of other schemes in it stay."""
        from models.data.dataset import scan
        from models.data.published import BENIGN
        from models.support.quiet_tensorflow import import_tensorflow
        from models.support.versions import versions
        from models.training.cross_validation import cross_validate, merged, to_text

        require_file(self.out, "--out")
        if self.weights is not None and not self.weights.is_file():
            raise UsageError(f"--weights must be a file of backbone weights (.h5); {self.weights} is not one")
        require_writable(self.working, "the working folder")
        merged(self.out, self.network, {})  # a record that is in the way is refused before hours of training
        labels = scan(self.data).labels
        contract = InputContract((self.size, self.size), tuple(labels))
        setting = self._setting(contract)
        images, origin = self._images(contract)
        if self.network == "mobilenet_v2" and self.weights is None:
            _log.warning("no --weights, so the backbone begins with random ones, which a few epochs cannot make up for")
        import_tensorflow()
        benign = BENIGN if BENIGN in labels else None
        record: dict[str, Any] = {}
        for scheme in self.schemes:
            found = cross_validate(setting, scheme, images, self.working, benign)
            entry = {**found, "fields_origin": origin, "versions": versions()}
            record = merged(self.out, self.network, {scheme: entry})
            write_json(self.out, record)
        return Outcome(DONE, record, f"{to_text(record)}\nwritten: {self.out}")

    def _setting(self, contract: InputContract) -> Any:
        from models.training.cross_validation import SHORT_RECIPES, Setting

        recipe = replace(SHORT_RECIPES[self.network], seed=self.seed).last_stage(self.epochs)
        return Setting(self.network, contract, recipe, self.weights, self.folds)

    def _images(self, contract: InputContract) -> tuple[Any, str]:
        """All images of the set, and how their fields were come by."""
        import numpy as np

        from models.data.dataset import load_pixels
        from models.data.parts import scan_for, split_for
        from models.training.cross_validation import Images

        image_set = scan_for(self.data, contract)
        split, origin = split_for(image_set)
        truth = np.array([contract.labels.index(sample.label) for sample in image_set.samples], np.int64)
        return Images(image_set.samples, load_pixels(image_set.samples, contract), truth, split.groups()), origin
