"""Values of the words that several commands share: a float model, images, a policy."""

import re
from collections.abc import Sequence
from pathlib import Path

from convert.calibration.evaluation_data import ImageFolder
from convert.parity.policy import SITE_POLICY, Policy
from convert.quantization.float_model import Loading
from edge.errors import UsageError
from edge.system.option_values import optional_path
from models.adaptation.adaptation_record import RECORD_FILE, SPLIT_FILE
from models.data.published import TRAINED, trained
from models.networks.custom_code import code_named


def float_model_path(word: str) -> Path:
    """The file of a shipped network by its name, else `word` as a path."""
    return trained(word) / "model.keras" if word in TRAINED else Path(word)


def loading_options(size: str, custom: str, unsafe_lambda: bool) -> Loading:
    """Values of --size, --custom and --unsafe-lambda.

    >>> loading_options("320x240", "", False).size
    (320, 240)
    """
    return Loading(_size(size) if size else None, code=code_named(custom, unsafe_lambda))


def _size(text: str) -> tuple[int, int]:
    found = re.fullmatch(r"(\d{1,4})(?:x(\d{1,4}))?", text)
    if found is None:
        raise UsageError(f"--size must be WIDTHxHEIGHT in pixels, such as 160x160; got {text!r}")
    width = int(found[1])
    return width, int(found[2] or width)


def image_folder(data: str, split: str, models: Sequence[Path] = ()) -> ImageFolder | None:
    """Values of --data and --split; None without images. `models`: those whose own split counts without --split.

    Raises:
        UsageError: several models of which one is adapted to a site.
    """
    if not data:
        return None
    if split or not _adapted(models):
        return ImageFolder(Path(data), optional_path(split))
    if len(models) > 1:
        raise UsageError(
            "a network that is adapted to a site has a split of its own: convert it alone, or give --split"
        )
    return ImageFolder(Path(data), models[0].parent / SPLIT_FILE)


def named_policy(policy: str, data: str, models: Sequence[Path] = ()) -> Policy:
    """The policy in the file `policy`; without one the shipped one for the images of --data, or for synthetic fields;
    for networks that are adapted to a site, the one for few slides.

    Raises:
        PolicyError: a file that cannot be followed.
    """
    if policy:
        return Policy.load(Path(policy))
    if data and _adapted(models):
        return Policy.load(SITE_POLICY)
    return Policy.default() if data else Policy.synthetic()


def _adapted(models: Sequence[Path]) -> bool:
    """Whether one of the models lies in a folder that `models adapt` wrote."""
    return any((path.parent / RECORD_FILE).is_file() and (path.parent / SPLIT_FILE).is_file() for path in models)
