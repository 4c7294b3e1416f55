"""Values of the words that several commands share: a float model, images, a policy."""

from pathlib import Path

from convert.calibration.evaluation_data import ImageFolder
from convert.parity.policy import Policy
from edge.system.option_values import optional_path
from models.data.published import TRAINED, trained


def float_model_path(word: str) -> Path:
    """The file of a shipped network by its name, else `word` as a path."""
    return trained(word) / "model.keras" if word in TRAINED else Path(word)


def image_folder(data: str, split: str) -> ImageFolder | None:
    """Values of --data and --split; None without images."""
    return ImageFolder(Path(data), optional_path(split)) if data else None


def named_policy(policy: str, data: str) -> Policy:
    """The policy in the file `policy`; without one the shipped one for the images of --data, or for synthetic fields.

    Raises:
        PolicyError: a file that cannot be followed.
    """
    if policy:
        return Policy.load(Path(policy))
    return Policy.default() if data else Policy.synthetic()
