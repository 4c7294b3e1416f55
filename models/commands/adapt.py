"""The `models adapt` command."""

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edge.commands.command_line import Outcome
from edge.errors import DONE, UsageError
from edge.system.files import require_writable, write_whole
from edge.system.option_values import labels_given, optional_path
from models.site.options import SiteOptions, site_options

if TYPE_CHECKING:
    from models.adaptation.job import Plan


@dataclass(frozen=True)
class AdaptRequest:
    """Make a network for a laboratory's own microscope.

    Attributes:
        site: where its labelled fields are. plan: what is to be made. out: folder for all of it.
    """

    site: SiteOptions
    plan: "Plan"
    out: Path
    json: bool

    def execute(self) -> Outcome:
        """Writes the network and everything that belongs to it into the folder `out`."""
        from models.adaptation.job import adapt
        from models.report.site.adaptation_page import adaptation_page
        from models.report.site.adaptation_text import card, next_text, to_text
        from models.support.records import as_json

        require_writable(self.out, "--out")
        site = self.site.load()
        adapted = adapt(site, self.plan, self.out)
        record, contract = adapted.record, adapted.contract
        folder, data = shlex.quote(str(self.out)), shlex.quote(str(self.site.data))
        page = adaptation_page(record, contract, folder, data)
        adapted.write(self.out)
        write_whole(self.out / "card.md", card(record, contract))
        write_whole(self.out / "adaptation.html", page)
        text = f"{to_text(record)}\nwritten: {self.out}; read {self.out / 'adaptation.html'}\n{next_text(folder, data)}"
        return Outcome(DONE, as_json(record), text)


def adapt(
    *,
    data: str,
    out: str,
    from_: str = "mobilenet_v2",
    weights: str = "",
    benign: tuple[str, ...] = (),
    tiles: str = "",
    pattern: str = "",
    camera: str = "",
    mixed_cameras: bool = False,
    fine_tune: bool = False,
    json: bool = False,
) -> AdaptRequest:
    """Make a network for your own microscope from labelled slides: a linear head on frozen features.

    The site is audited first, and what the audit refuses is not adapted to (exit 1, named). Fewer than 5 slides of a
    class, or 40 fields, are too few (exit 3). Every figure is of slides that the network which answered was made
    without. Writes model.keras, contract.json, gates.json, split.csv, adaptation.json, card.md and adaptation.html;
    `convert quantize --int8 OUT/model.keras --data DATA` goes on from there. An interrupted run resumes.

    Args:
        data: folder with one sub-folder of images a class, and fields.csv or names that PATTERN reads.
        out: folder for the network and its pages.
        from_: whose features: mobilenet_v2, custom_cnn, imagenet (with --weights), or a folder with model.keras and
            contract.json.
        weights: with --from imagenet: MobileNetV2 backbone weights without top (.h5).
        benign: label whose wrong answer is the worst there is; several: once each, or with commas. Without it a label
            spelt "benign".
        tiles: COLUMNSxROWS that each field is cut into, such as 2x2; 1x1 for none. Left out, by the size of red cells.
        pattern: what file names say, such as '{slide}_{field}.png'; also {session}, {camera}, {date}, * for any.
        camera: take only the fields of this camera.
        mixed_cameras: several cameras took the fields, and that is meant.
        fine_tune: let the network's last block learn, too, in the same folds; taken only where that lowers the loss on
            unseen slides by more than chance. Some minutes more.
        json: print adaptation.json.
    """
    from models.adaptation.job import Plan
    from models.adaptation.network.tiling import tiles_named

    if weights and from_ != "imagenet":
        raise UsageError(f"--weights belongs to --from imagenet; got --from {from_}")
    plan = Plan(
        start=from_,
        weights=optional_path(weights),
        benign=labels_given(benign),
        tiles=tiles_named(tiles) if tiles else None,
        mixed_cameras=mixed_cameras,
        fine_tune=fine_tune,
    )
    return AdaptRequest(site_options(data, pattern, camera, mixed_cameras), plan, Path(out), json)
