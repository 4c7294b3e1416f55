"""The `models explain` command."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge.commands.command_line import Outcome
from edge.errors import DONE, UsageError
from edge.system.files import require_writable, write_whole
from edge.system.streams import one_line
from models.commands import network_options
from models.networks.custom_code import NO_CODE, CustomCode, code_named

_DRAWN = "class_activation.png"  # of a field that no image gave


@dataclass(frozen=True)
class ExplainRequest:
    """Draw where in each image the evidence for its verdict lies; of a drawn field when there is no image."""

    model: Path
    images: tuple[Path, ...]
    out: Path
    json: bool
    code: CustomCode = NO_CODE

    def __post_init__(self) -> None:
        names = [image.stem for image in self.images]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise UsageError(f"figures are named after the images; two of them are named {twice[0]}")

    def execute(self) -> Outcome:
        """Writes a figure an image into `out`."""
        import numpy as np

        from edge.inference.images import read_image
        from edge.inference.tiles import prepare_field
        from models.data.white_cell_segmentation import white_cells
        from models.evaluation.class_activation import ClassActivation, mass_share
        from models.networks.loading import load_network
        from models.report.explanation_figures import share_note, verdict_figure
        from models.report.figure_style import render

        require_writable(self.out, "--out")
        network, contract = load_network(self.model, self.code)
        frames = [read_image(image) for image in self.images] or [_drawn_field()]
        pixels = [prepare_field(contract, frame) for frame in frames]
        found = ClassActivation(network, contract)(np.stack(pixels))
        records = []
        for i, image in enumerate(self.images or (None,)):
            probabilities = found.probabilities[i]
            called = int(probabilities.argmax())
            heat, mask = found.heat(i, called, contract.field_size), white_cells(pixels[i])
            share = mass_share(heat, mask) if mask.any() else float("nan")
            record: dict[str, Any] = {
                "path": None if image is None else str(image),
                "label": contract.labels[called],
                "probabilities": {k: float(p) for k, p in zip(contract.labels, probabilities, strict=True)},
                "cells_share": None if np.isnan(share) else share,
                "cells_area": float(mask.mean()),
                "figure": str(self.out / (_DRAWN if image is None else f"{image.stem}_class_activation.png")),
            }
            title = f"{self.model.name}, a drawn field: nobody's smear" if image is None else image.name
            note = share_note(record["cells_share"], record["cells_area"])
            figure = verdict_figure(pixels[i], heat, mask, contract.labels, probabilities, title, note)
            write_whole(Path(record["figure"]), render(figure))
            records.append(record)
        return Outcome(DONE, records, "\n".join(_line(record) for record in records))


def _drawn_field() -> Any:
    from edge.cameras.synthetic.smear import SyntheticSmear

    return SyntheticSmear(4, "Early").field(0, 0).frame


def _line(record: dict[str, Any]) -> str:
    share = record["cells_share"]
    said = "no white cell, or no map" if share is None else f"{100 * share:.1f} % of the map on white cells"
    probability = record["probabilities"][record["label"]]
    return (
        f"{one_line(record['path'] or 'a drawn field')}: {record['label']} {probability:.3f}; {said}, "
        f"which cover {100 * record['cells_area']:.1f} % of the field; written: {record['figure']}"
    )


def explain(
    network: str,
    *images: str,
    out: str = "build/explained",
    custom: str = "",
    unsafe_lambda: bool = False,
    json: bool = False,
) -> ExplainRequest:
    """Draw where in a field the evidence for its verdict lies (a class activation map); for study, never for diagnosis.

    Without IMAGES a field is drawn that nobody's smear gave.

    Args:
        network: mobilenet_v2, custom_cnn, or a folder with model.keras and contract.json.
        images: image files, a figure each.
        out: folder for the figures, IMAGE_class_activation.png each; they show the images.
        custom: Python file (or module) that defines the model's own layers and functions; several with commas.
        unsafe_lambda: run the code of Lambda layers in the model file.
        json: print a record an image as JSON.
    """
    files = tuple(Path(image) for image in images)
    code = code_named(custom, unsafe_lambda)
    return ExplainRequest(network_options.model_folder(Path(network)), files, Path(out), json, code)
