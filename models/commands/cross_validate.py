"""The `models cross-validate` command."""

import logging
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from msgspec import to_builtins
from msgspec.structs import replace as replace_fields

from edge.commands.command_line import Outcome
from edge.errors import DONE, UsageError
from edge.inference.contract import InputContract
from edge.system.files import require_file, require_writable
from edge.system.option_values import labels_given, one_of, optional_path, whole_number
from models.commands import network_options
from models.commands.network_options import output_folder
from models.data.folds import SCHEMES
from models.data.published import trained
from models.support.records import write_json

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class CrossValidateRequest:
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
    benign: tuple[str, ...]
    working: Path
    out: Path
    json: bool

    def execute(self) -> Outcome:
        """Writes the record at `out` after every scheme; entries of other schemes in it stay."""
        from models.data.dataset import scan
        from models.support.quiet_tensorflow import import_tensorflow
        from models.support.versions import versions
        from models.training.cross_validation import cross_validate
        from models.training.cross_validation_record import merged, to_text

        require_file(self.out, "--out")
        if self.weights is not None and not self.weights.is_file():
            raise UsageError(f"--weights must be a file of backbone weights (.h5); {self.weights} is not one")
        require_writable(self.working, "the working folder")
        merged(self.out, self.network, {})  # a record that is in the way is refused before hours of training
        labels = scan(self.data).labels
        contract = InputContract((self.size, self.size), tuple(labels), benign=self.benign or None)
        setting = self._setting(contract)
        images, origin = self._images(contract)
        if self.network == "mobilenet_v2" and self.weights is None:
            _log.warning("no --weights, so the backbone begins with random ones, which a few epochs cannot make up for")
        import_tensorflow()
        record = merged(self.out, self.network, {})
        for scheme in self.schemes:
            found = cross_validate(setting, scheme, images, self.working)
            entry = replace_fields(found, fields_origin=origin, versions=versions())
            record = merged(self.out, self.network, {scheme: entry})
            write_json(self.out, to_builtins(record))
        return Outcome(DONE, to_builtins(record), f"{to_text(record)}\nwritten: {self.out}")

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


def cross_validate(
    network: str,
    *,
    data: str,
    scheme: str = "all",
    folds: str = "3",
    epochs: str = "",
    weights: str = "",
    size: str = "224",
    seed: str = "7",
    benign: tuple[str, ...] = (),
    out: str = "",
    overwrite_shipped: bool = False,
    json: bool = False,
) -> CrossValidateRequest:
    """Judge a shortened recipe on every image: by microscope fields, by blocks of file numbers, and at random.

    A network is trained for each fold; the same command continues where a killed one stood. Exit 0 when done.

    Args:
        network: custom_cnn or mobilenet_v2.
        data: folder with one sub-folder of images a class.
        scheme: fields, blocks, random, or all, one after another.
        folds: of each scheme.
        epochs: of the last stage; 3 for mobilenet_v2 and 12 for custom_cnn when not given.
        weights: backbone weights (.h5, without top) for mobilenet_v2; random when not given.
        size: side of the square input, pixels.
        seed: of folds, initialization, order and augmentation.
        benign: label whose wrong answer is the worst there is; several: once each, or with commas. Without it a label
            spelt "benign".
        out: JSON to write, other schemes' entries stay; cross_validation.json in the network's folder when not given.
        overwrite_shipped: write over the records that ship with a shipped network; without it they are left alone, and
            what is measured goes to build/shipped/NETWORK.
        json: print the record as JSON.
    """
    name = network_options.check_network(network)
    network_options.check_weights(name, weights)
    records = output_folder(trained(name), overwrite_shipped=overwrite_shipped)
    return CrossValidateRequest(
        network=name,
        data=Path(data),
        schemes=SCHEMES if one_of(scheme, "--scheme", (*SCHEMES, "all")) == "all" else (scheme,),
        folds=whole_number(folds, "--folds", at_least=2),
        epochs=whole_number(epochs, "--epochs", at_least=1) if epochs else None,
        weights=optional_path(weights),
        size=whole_number(size, "--size", at_least=32),
        seed=whole_number(seed, "--seed"),
        benign=labels_given(benign),
        working=Path("build/cross_validation") / name,
        out=Path(out) if out else records / "cross_validation.json",
        json=json,
    )
