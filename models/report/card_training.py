"""The training part of a model card: only what `training.json` says.

Records of earlier versions have fewer fields: they name other settings of the augmentation, no background swaps and no
network that training began with.
"""

from collections.abc import Mapping

from msgspec import UnsetType

from edge.inference.benign import SPELT
from models.statistics.formatting import percent
from models.training.training_record import Lineage, RecipeRecord, TrainingRecord

# Of models.training.augmentation.Augmentation, earlier ones included: what a number means, and how it is told.
_AMPLITUDES = {
    "scale": ("magnification", "{:g} %"),
    "squeeze": ("one axis against the other", "{:g} %"),
    "stain": ("the stain's mixing matrix", "standard deviation {:g} in optical density"),
    "density": ("optical density", "{:g} %"),
    "hue": ("hue of the stain", "{:g} degrees"),
    "saturation": ("its saturation", "{:g} %"),
    "brightness": ("brightness", "{:g} %"),
    "exposure": ("exposure", "{:g} % of the light"),
    "contrast": ("scattered light", "{:g} %"),
    "gamma": ("the camera's curve", "{:g} %"),
    "temperature": ("red against blue", "{:g} %"),
    "shading": ("uneven light", "{:g} %"),
    "blur": ("defocus", "{:g} pixels"),
    "drag": ("motion", "{:g} pixels"),
    "fringe": ("colour fringes", "{:g} pixels"),
    "noise": ("sensor noise", "{:g} grey levels"),
}
_TOLD_OTHERWISE = ("exchange_corner", "overlay", "exchange_stain", "intact", "most", "dirt", "compression")


def training_text(training: TrainingRecord, benign: str = SPELT) -> str:
    """Paragraphs about recipe, augmentation, background swaps, the best epoch and the networks that came before;
    `benign`: the benign labels in words."""
    paragraphs = [f"{_recipe(training, benign)} {_best(training)}", _images(training.recipe)]
    before = training.started_from
    while isinstance(before, Lineage):
        earlier, digest = before.training, before.model_sha256[:16]
        if earlier is None:
            paragraphs.append(
                f"It began with an earlier network (sha256 `{digest}`), of whose training nothing is known."
            )
            break
        paragraphs.append(
            f"It began with an earlier network (sha256 `{digest}`), which had been trained so: "
            f"{_recipe(earlier, benign)} {_images(earlier.recipe)}"
        )
        before = earlier.started_from
    return "\n\n".join(paragraphs)


def _recipe(training: TrainingRecord, benign: str) -> str:
    recipe, history = training.recipe, training.history
    stages = "; ".join(
        f"{s.name} (trains {s.trainable}, at most {s.epochs} epoch{'s' if s.epochs > 1 else ''}, "
        f"peak learning rate {s.learning_rate:g})"
        for s in recipe.stages
    )
    minutes = sum(epoch.seconds for epoch in history) / 60
    caution = ""
    if recipe.caution:
        caution = f" with {recipe.caution:g} times -log(1 - p({benign})) added for malignant images"
    return (
        f"AdamW, batch {recipe.batch}, label smoothing {recipe.label_smoothing:g}, class-balanced "
        f"loss{caution}, averaged weights (momentum {recipe.ema:g}), seed {recipe.seed}. "
        f"Stages: {stages}. {len(history)} epoch{'s' if len(history) > 1 else ''}, {minutes:.0f} minutes on the "
        "processor."
    )


def _best(training: TrainingRecord) -> str:
    best = training.best_epoch
    judged = (
        (best.val_accuracy, "of them"),
        (best.val_drawn_accuracy, "augmented"),
        (best.val_exchanged_accuracy, "with their white cells before another image's ground"),
    )
    found = [f"{percent(share)} {what}" for share, what in judged if not isinstance(share, UnsetType)]
    return (
        f"Kept: epoch {best.epoch} of the stage {best.stage}, where the loss on validation images is lowest; it "
        f"rightly named {_listed(found)}. Test images took no part and are unaltered."
    )


def _images(recipe: RecipeRecord) -> str:
    """What happens to training images; a setting of the augmentation that is not known here is told by its key."""
    values = recipe.augmentation
    known = [_amplitude(k, values[k]) for k in _AMPLITUDES if values.get(k)]
    if values.get("dirt"):
        known.append(f"specks and fibres ({round(10 * values['dirt'])})")
    if values.get("compression"):
        known.append(f"JPEG quality (down to {100 - values['compression']:g})")
    known += [f"{k} ({v})" for k, v in values.items() if k not in _AMPLITUDES and k not in _TOLD_OTHERWISE and v]
    text = ["Every training image is turned and flipped."]
    if known:
        text.append(f"Varied, by at most so much: {', '.join(known)}.")
    if values.get("most"):
        text.append(
            f"Magnification always varies. With a chance of {values.get('intact', 0):g} nothing else does; otherwise "
            f"the stain does too, and of the rest at most {values['most']} at once."
        )
    text.append(_corner(values))
    if values.get("exchange_stain"):
        text.append(
            f"With a chance of {values['exchange_stain']:g} mean and spread of the optical densities move towards "
            "another image's, whatever that one's class."
        )
    swaps = {} if isinstance(recipe.lessons, UnsetType) else recipe.lessons
    return " ".join([*text, *_swaps(swaps)])


def _amplitude(key: str, value: float) -> str:
    what, form = _AMPLITUDES[key]
    return f"{what} ({form.format(100 * value if '%' in form else value)})"


def _corner(values: Mapping[str, float]) -> str:
    exchanged = values["exchange_corner"]
    text = "The burned-in scale bar is filled in from its surroundings"
    if exchanged:
        text += f" or, with a chance of {exchanged:g}, exchanged with another image's"
    if values.get("overlay"):
        text += f"; with a chance of {values['overlay']:g} a bar, box or text of no known style is drawn into a corner"
    return f"{text}."


def _swaps(chances: Mapping[str, float]) -> list[str]:
    said = {
        "foreign_ground": "shows its white cells before the ground of another image, and keeps its class",
        "without_cells": "has its white cells covered, and belongs to no class",
        "covered_elsewhere": "is covered as much where it has no white cell, and keeps its class",
    }
    told = [f"with a chance of {chance:g} it {said.get(name, name)}" for name, chance in chances.items() if chance]
    return [f"What an image teaches about cells: {'; '.join(told)}."] if told else []


def _listed(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
