"""What `models explain` and `models evaluate --explanations` do."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge.commands.command_line import Outcome
from edge.errors import DONE, UsageError
from edge.system.files import require_file, require_writable, write_whole
from models.data.provenance import provenance
from models.support.records import write_json

if TYPE_CHECKING:
    from models.evaluation.explanations import Explanations

_DRAWN = "class_activation.png"  # of a field that no image gave


@dataclass(frozen=True)
class ExplainJob:
    """Draw where in each image the evidence for its verdict lies; of a drawn field when there is no image."""

    model: Path
    images: tuple[Path, ...]
    out: Path
    json: bool

    def __post_init__(self) -> None:
        names = [image.stem for image in self.images]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise UsageError(f"figures are named after the images; two of them are named {twice[0]}")

    def execute(self) -> Outcome:
        """Writes a figure an image into `out`."""
        import numpy as np

        from edge.inference.images import read_image
        from models.data.white_cell_segmentation import white_cells
        from models.evaluation.class_activation import ClassActivation, mass_share
        from models.networks.loading import load_network
        from models.report.explanation_figures import share_note, verdict_figure
        from models.report.figure_style import render

        require_writable(self.out, "--out")
        network, contract = load_network(self.model)
        frames = [read_image(image) for image in self.images] or [_drawn_field()]
        pixels = np.stack([contract.prepare(frame) for frame in frames])
        found = ClassActivation(network, contract)(pixels)
        records = []
        for i, image in enumerate(self.images or (None,)):
            probabilities = found.probabilities[i]
            called = int(probabilities.argmax())
            heat, mask = found.heat(i, called, contract.size), white_cells(pixels[i])
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
            figure = verdict_figure(pixels[i], heat, mask, contract.labels, probabilities, title, share_note(record))
            write_whole(Path(record["figure"]), render(figure))
            records.append(record)
        return Outcome(DONE, records, "\n".join(_line(record) for record in records))


@dataclass(frozen=True)
class ExplanationsJob:
    """Measure how much of a network's class activation maps lies on white cells, and show its errors.

    `errors`: folder for a figure of every wrong verdict; they show images of the set, so they never go with a network.
    """

    model: Path
    data: Path
    split: Path | None
    part: str
    sample: int | None
    errors: Path
    out: Path
    json: bool

    def execute(self) -> Outcome:
        """Writes the record at `out`, a figure beside it, and the wrong verdicts' figures into `errors`."""
        from models.data.parts import load_part, scan_for, split_for
        from models.evaluation.explanations import explain, to_text
        from models.networks.loading import load_network
        from models.report.explanation_figures import shares_figure
        from models.report.figure_style import render

        require_file(self.out, "--out")
        require_writable(self.errors, "--errors")
        network, contract = load_network(self.model)
        image_set = scan_for(self.data, contract)
        split, origin = split_for(image_set, self.split)
        part = load_part(image_set, split, self.part, contract)
        chosen = sorted(sorted(range(len(part.samples)), key=lambda i: part.samples[i].sha256)[: self.sample])
        names = [part.names[i] for i in chosen]
        found = explain(network, contract, part.pixels[chosen], part.truth[chosen], names)
        about = {**provenance(self.model / "model.keras", split, origin, self.part), "sample": self.sample}
        record = {**about, **found.to_record()}
        write_json(self.out, record)
        about_images = f"{self.model.name}, {record['images']} images of the {self.part} part"
        title = f"{about_images}: where the evidence for its verdicts lies"
        write_whole(self.out.with_suffix(".png"), render(shares_figure(found, record, title)))
        self._draw_errors(found, part.pixels[chosen], contract.size)
        return Outcome(
            DONE,
            record,
            f"{to_text(record)}\nwritten: {self.out}, {self.out.with_suffix('.png')}; "
            f"{len(found.wrong())} wrong verdicts: {self.errors}",
        )

    def _draw_errors(self, found: "Explanations", pixels: Any, size: tuple[int, int]) -> None:
        from models.report.explanation_figures import share_note, verdict_figure
        from models.report.figure_style import render

        for i in found.wrong():
            one = found.image(i)
            heat = found.activations.heat(i, int(found.called[i]), size)
            title = f"{one['name']}: {one['true']}, called {one['called']}"
            figure = verdict_figure(
                pixels[i], heat, found.masks[i], found.labels, found.probabilities[i], title, share_note(one)
            )
            name = Path(one["name"])
            write_whole(self.errors / f"{one['true']}_called_{one['called']}_{name.stem}.png", render(figure))


def _drawn_field() -> Any:
    from edge.cameras.synthetic.smear import SyntheticSmear

    return SyntheticSmear(4, "Early").field(0, 0).frame


def _line(record: dict[str, Any]) -> str:
    share = record["cells_share"]
    said = "no white cell, or no map" if share is None else f"{100 * share:.1f} % of the map on white cells"
    probability = record["probabilities"][record["label"]]
    return (
        f"{record['path'] or 'a drawn field'}: {record['label']} {probability:.3f}; {said}, "
        f"which cover {100 * record['cells_area']:.1f} % of the field; written: {record['figure']}"
    )
