"""The part of a model card that says how a network was trained: only what its `training.json` says.

Records of earlier versions have fewer keys: they name other kinds of augmentation, no lessons about cells and no
network that training began with.
"""

from collections.abc import Mapping, Sequence
from typing import Any

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

_BEFORE = "with their white cells before another image's ground"


def training_text(training: Mapping[str, Any]) -> str:
    """Paragraphs about recipe, augmentation, lessons, the epoch that was kept and the networks that came before.

    Raises:
        KeyError, TypeError, ValueError: a record that `models train` did not write.
    """
    paragraphs = [f"{_recipe(training)} {_kept(training['history'])}", _images(training["recipe"])]
    before = training.get("started_from")
    while before is not None:
        earlier = before["training"]
        digest = before["model_sha256"][:16]
        if earlier is None:
            paragraphs.append(
                f"It began with an earlier network (sha256 `{digest}`), of whose training nothing is known."
            )
            break
        paragraphs.append(
            f"It began with an earlier network (sha256 `{digest}`), which had been trained so: {_recipe(earlier)} "
            f"{_images(earlier['recipe'])}"
        )
        before = earlier.get("started_from")
    return "\n\n".join(paragraphs)


def _recipe(training: Mapping[str, Any]) -> str:
    recipe = training["recipe"]
    stages = "; ".join(
        f"{s['name']} (trains {s['trainable']}, at most {s['epochs']} epoch{'s' if s['epochs'] > 1 else ''}, "
        f"peak learning rate {s['learning_rate']:g})"
        for s in recipe["stages"]
    )
    history = training["history"]
    minutes = sum(epoch["seconds"] for epoch in history) / 60
    return (
        f"AdamW, batch {recipe['batch']}, label smoothing {recipe['label_smoothing']:g}, class-balanced "
        f"loss{_caution(recipe)}, averaged weights (momentum {recipe['ema']:g}), seed {recipe['seed']}. "
        f"Stages: {stages}. {len(history)} epoch{'s' if len(history) > 1 else ''}, {minutes:.0f} minutes on the "
        "processor."
    )


def _caution(recipe: Mapping[str, Any]) -> str:
    weight = recipe.get("caution", 0.0)
    return f" with {weight:g} times -log(1 - p(Benign)) added for malignant images" if weight else ""


def _kept(history: Sequence[Mapping[str, Any]]) -> str:
    """The epoch with the lowest validation loss is the network."""
    best = min(history, key=lambda epoch: float(epoch["val_loss"]))
    judged = {"val_accuracy": "of them", "val_drawn_accuracy": "augmented", "val_exchanged_accuracy": _BEFORE}
    found = [f"{100 * best[key]:.2f} % {what}" for key, what in judged.items() if best.get(key) is not None]
    return (
        f"Kept: epoch {best['epoch']} of the stage {best['stage']}, where the loss on validation images is lowest; it "
        f"rightly named {_listed(found)}. Test images took no part and are unaltered."
    )


def _images(recipe: Mapping[str, Any]) -> str:
    """What happens to training images; a kind of augmentation that is not known here is told by its key."""
    values = dict(recipe["augmentation"])
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
    lessons = _lessons(dict(recipe.get("lessons") or {}))
    return " ".join([*text, *lessons])


def _amplitude(key: str, value: float) -> str:
    what, form = _AMPLITUDES[key]
    return f"{what} ({form.format(100 * value if '%' in form else value)})"


def _corner(values: Mapping[str, Any]) -> str:
    exchanged = values["exchange_corner"]
    text = "The burned-in scale bar is filled in from its surroundings"
    if exchanged:
        text += f" or, with a chance of {exchanged:g}, exchanged with another image's"
    if values.get("overlay"):
        text += f"; with a chance of {values['overlay']:g} a bar, box or text of no known style is drawn into a corner"
    return f"{text}."


def _lessons(chances: Mapping[str, float]) -> list[str]:
    said = {
        "foreign_ground": "shows its white cells before the ground of another image, and keeps its class",
        "without_cells": "has its white cells covered, and belongs to no class",
        "covered_elsewhere": "is covered as much where it has no white cell, and keeps its class",
    }
    told = [f"with a chance of {chance:g} it {said.get(name, name)}" for name, chance in chances.items() if chance]
    return [f"What an image teaches about cells: {'; '.join(told)}."] if told else []


def _listed(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
