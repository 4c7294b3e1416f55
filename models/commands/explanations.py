"""The question of `models evaluate --explanations`."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge.commands.command_line import Outcome
from edge.errors import DONE
from edge.system.files import require_file, require_writable, write_whole
from models.commands.network_options import EvaluationOptions
from models.support.records import as_json, write_json

if TYPE_CHECKING:
    from models.evaluation.explanations import Explanations


@dataclass(frozen=True, kw_only=True)
class ExplanationsRequest(EvaluationOptions):
    """Measure how much of a network's class activation maps lies on white cells, and show its errors.

    Attributes:
        sample: so many images instead of all, or None.
        errors: folder for a figure of every wrong verdict; they show images of the set, so they never go with a
            network.
    """

    sample: int | None
    errors: Path

    def execute(self) -> Outcome:
        """Writes the record at `out`, a figure beside it, and the wrong verdicts' figures into `errors`."""
        from models.evaluation.explanations import explain, to_text
        from models.networks.loading import load_network
        from models.report.explanation_figures import shares_figure
        from models.report.figure_style import render
        from models.support.provenance import float_provenance

        require_file(self.out, "--out")
        require_writable(self.errors, "--errors")
        network, contract = load_network(self.model, self.code)
        part, split = self.load_part(contract)
        chosen = sorted(sorted(range(len(part.samples)), key=lambda i: part.samples[i].sha256)[: self.sample])
        names = [part.names[i] for i in chosen]
        found = explain(network, contract, part.pixels[chosen], part.truth[chosen], names)
        shares = found.to_record()
        record = as_json(float_provenance(self.model / "model.keras", split, self.sample), shares)
        write_json(self.out, record)
        about_images = f"{self.model.name}, {shares.images} images of the {self.part} part"
        title = f"{about_images}: where the evidence for its verdicts lies"
        write_whole(self.out.with_suffix(".png"), render(shares_figure(found, shares, title)))
        self._draw_errors(found, part.pixels[chosen], contract.field_size)
        return Outcome(
            DONE,
            record,
            f"{to_text(shares)}\nwritten: {self.out}, {self.out.with_suffix('.png')}; "
            f"{len(found.wrong())} wrong verdicts: {self.errors}",
        )

    def _draw_errors(self, found: "Explanations", pixels: Any, size: tuple[int, int]) -> None:
        from models.report.explanation_figures import share_note, verdict_figure
        from models.report.figure_style import render

        for i in found.wrong():
            one = found.image(i)
            heat = found.activations.heat(i, int(found.called[i]), size)
            title = f"{one.name}: {one.true}, called {one.called}"
            note = share_note(one.cells_share, one.cells_area)
            figure = verdict_figure(pixels[i], heat, found.masks[i], found.labels, found.probabilities[i], title, note)
            name = Path(one.name)
            write_whole(self.errors / f"{one.true}_called_{one.called}_{name.stem}.png", render(figure))
