"""The `models gates` command."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from edge.commands.command_line import Outcome
from edge.errors import ANSWER_IS_NO, DONE
from edge.inference.domain import ANY, Domain, domain_named
from edge.inference.gates.gates_file import GatesFile
from edge.system.files import require_file, write_whole
from edge.system.option_values import optional_path
from models.commands import network_options
from models.commands.network_options import output_folder


@dataclass(frozen=True)
class GatesRequest:
    """Fit the gates of a network to its own images.

    Attributes:
        model: folder with model.keras and contract.json. out: folder that gets gates.json.
        domain: what the images show; None takes the contract's.
    """

    model: Path
    out: Path
    data: Path
    split: Path | None
    domain: Domain | None
    json: bool

    def execute(self) -> Outcome:
        """Writes `gates.json`. Exit 1 where more of the test images are refused than a chance of the draw explains."""
        from edge.inference.contract import InputContract
        from models.data.parts import scan_for, split_for
        from models.decision.gates_fit import fit_gates, gate_parts, refuses_too_many
        from models.decision.network_gates import FILE, gates_path, read_gates

        target = self.out / FILE
        require_file(target, "NETWORK")
        contract = InputContract.load(self.model / "contract.json")
        image_set = scan_for(self.data, contract)
        split, _ = split_for(image_set, self.split)
        parts = gate_parts(image_set, split, contract)
        beside = gates_path(self.model)
        domain = self.domain or contract.domain or (ANY if beside is None else read_gates(beside).domain)
        file = fit_gates(domain, *parts, f"models gates {self.model.name}")
        write_whole(target, file.to_bytes())
        text = "\n".join([*gates_lines(file), f"written: {target}"])
        return Outcome(ANSWER_IS_NO if refuses_too_many(file) else DONE, record_of(file), text)


def gates_lines(file: GatesFile) -> list[str]:
    """Limits and what they refuse, for a terminal."""
    from edge.inference.gates.quality import QUALITY
    from models.decision.gates_fit import judged_text

    lines = [f"gates for {file.domain} images of {file.size[0]}x{file.size[1]} pixels, {file.source.method}"]
    for name, limit in file.quality.items():
        measure = QUALITY[name]
        side = "at most" if measure.is_ceiling else "at least"
        lines.append(f"  {name}: {side} {limit.limit:g} {measure.unit}; refuses {limit.refused} of {limit.images}")
    for name, family in file.novelty.items():
        count = len(family.prototypes)
        lines.append(f"  unlike_training, {name}: {count} prototypes; refuses {family.refused} of {family.images}")
    return [*lines, *(f"note: {note}" for note in file.source.notes), judged_text(file)]


def record_of(file: GatesFile) -> dict[str, Any]:
    """The file without prototypes and covariances, which nobody reads."""
    from msgspec import to_builtins

    record = to_builtins(file)
    for family in record["novelty"].values():
        family["prototypes"] = len(family["prototypes"])
        del family["precision"], family["centre"], family["scale"], family["numbers"]
    return cast(dict[str, Any], record)


def gates(
    network: str, *, data: str, split: str = "", domain: str = "", overwrite_shipped: bool = False, json: bool = False
) -> GatesRequest:
    """Fit when a network must not be asked: limits of focus, exposure, motion, content and novelty of its own images.

    Training images fit, validation images set limits, test images tell what is refused; with few images the first two
    take turns. Writes gates.json beside the network, for a shipped network in build/shipped; `convert quantize` seals
    it into the bundle. Exit 1 when more than 3 % of the test images are surely refused.

    Args:
        network: mobilenet_v2, custom_cnn, or a folder with model.keras and contract.json.
        data: folder with one sub-folder of images a class.
        split: CSV from `models split`; the shipped one for the published set, else made from the images.
        domain: what the images show: "blood smear" for stained smears, else "any"; that of the contract, or of the
            network's gates of before, when left out.
        overwrite_shipped: write over the gates that ship with a shipped network.
        json: print limits and what they refuse as JSON.
    """
    folder = network_options.model_folder(Path(network))
    return GatesRequest(
        model=folder,
        out=output_folder(folder, overwrite_shipped=overwrite_shipped),
        data=Path(data),
        split=optional_path(split),
        domain=domain_named(domain),
        json=json,
    )
