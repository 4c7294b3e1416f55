"""`models`: words into requests."""

from pathlib import Path

from edge.command import Command, UsageError, switch, whole_number
from edge.command import main as run
from models.jobs import (
    AuditJob,
    CardJob,
    EvaluateJob,
    FetchJob,
    ProbeJob,
    SplitJob,
    TrainJob,
    bundle_of,
    check_network,
    model_folder,
)
from models.registry import TRAINED, trained


def audit(data: str, *, out: str = "build/audit", json: bool = False) -> AuditJob:
    """Report what to know before training: duplicates, overlapping fields, overlays and colours that give classes away.

    Args:
        data: folder with one sub-folder of images a class.
        out: folder for audit.json and audit.html (the page shows images of the set).
        json: print the record as JSON.
    """
    return AuditJob(Path(data), Path(out), switch(json, "--json"))


def split(
    data: str, *, out: str, groups: str = "", random: bool = False, seed: str = "7", json: bool = False
) -> SplitJob:
    """Divide images into train, validation and test so that no microscope field is on two sides.

    Args:
        data: folder with one sub-folder of images a class.
        out: the CSV to write.
        groups: CSV that names fields (class, file, sha256, field_group); found from the images when not given.
        random: draw images at random instead, as published work does; for comparison only.
        seed: of the draw.
        json: print the counts as JSON.
    """
    chosen = Path(groups) if groups else None
    return SplitJob(
        Path(data),
        Path(out),
        chosen,
        switch(random, "--random"),
        whole_number(seed, "--seed"),
        switch(json, "--json"),
    )


def train(
    network: str,
    *,
    data: str,
    weights: str = "",
    from_: str = "",
    split: str = "",
    out: str = "",
    size: str = "224",
    alpha: str = "1.0",
    epochs: str = "",
    seed: str = "7",
    json: bool = False,
) -> TrainJob:
    """Train custom_cnn or mobilenet_v2; a killed run continues when the same command is given again.

    Args:
        network: custom_cnn or mobilenet_v2.
        data: folder with one sub-folder of images a class.
        weights: backbone weights (.h5, without top) for mobilenet_v2; random when not given.
        from_: mobilenet_v2, custom_cnn or a folder: a trained network to train further, instead of a new one.
        split: CSV from `models split`; the shipped one for the published set, else made from the images.
        out: folder for the result; build/trained/NETWORK when not given.
        size: side of the square input, pixels.
        alpha: width multiplier of mobilenet_v2.
        epochs: of the last stage; the recipe's own number when not given.
        seed: of initialization, order and augmentation.
        json: print the result as JSON.
    """
    name = check_network(network)
    if name == "custom_cnn" and weights:
        raise UsageError("--weights belongs to mobilenet_v2; custom_cnn is trained from scratch")
    if from_ and (weights or alpha != "1.0"):
        raise UsageError("--from brings its own weights and width; --weights and --alpha do not go with it")
    try:
        width = float(alpha)
    except ValueError:
        raise UsageError(f"--alpha must be a number; got {alpha!r}") from None
    return TrainJob(
        network=name,
        data=Path(data),
        weights=Path(weights) if weights else None,
        start=model_folder(Path(from_)) if from_ else None,
        split=Path(split) if split else None,
        out=Path(out or f"build/trained/{name}"),
        size=whole_number(size, "--size", at_least=32),
        alpha=width,
        epochs=whole_number(epochs, "--epochs", at_least=1) if epochs else None,
        seed=whole_number(seed, "--seed"),
        json=switch(json, "--json"),
    )


def evaluate(
    model: str,
    *,
    data: str,
    corruptions: bool = False,
    counterfactuals: bool = False,
    bundle: str = "",
    sample: str = "",
    split: str = "",
    part: str = "test",
    out: str = "",
    json: bool = False,
) -> EvaluateJob | ProbeJob:
    """Judge a network on images it has not seen: accuracy, per-class scores, calibration, each with its interval.

    With --corruptions or --counterfactuals the images are altered, and the int8 bundle is judged beside the network.

    Args:
        model: mobilenet_v2, custom_cnn, or a folder with model.keras and contract.json.
        data: folder with one sub-folder of images a class.
        corruptions: degrade the images as microscopes do, in 18 ways and five severities.
        counterfactuals: exchange scale bars, paint them or the white cells out; count changed verdicts.
        bundle: int8 bundle made of the network; the shipped one for a shipped network, none for others.
        sample: altered images only: judge so many images instead of all.
        split: CSV from `models split`; the shipped one for the published set, else made from the images.
        part: test, validation or train.
        out: JSON to write; evaluation.json, robustness.json or counterfactuals.json in the model's folder when not
            given. Figures go beside it.
        json: print the record as JSON.
    """
    if part not in ("train", "validation", "test"):
        raise UsageError(f"--part must be train, validation or test; got {part!r}")
    degrade, alter = switch(corruptions, "--corruptions"), switch(counterfactuals, "--counterfactuals")
    if degrade and alter:
        raise UsageError("--corruptions and --counterfactuals are two records; give one of them")
    folder = model_folder(Path(model))
    chosen = Path(split) if split else None
    if not (degrade or alter):
        if bundle or sample:
            raise UsageError("--bundle and --sample belong to --corruptions or --counterfactuals")
        target = Path(out) if out else folder / "evaluation.json"
        return EvaluateJob(folder, Path(data), chosen, part, target, switch(json, "--json"))
    return ProbeJob(
        probe="corruptions" if degrade else "counterfactuals",
        model=folder,
        bundle=bundle_of(folder, Path(bundle) if bundle else None),
        data=Path(data),
        split=chosen,
        part=part,
        sample=whole_number(sample, "--sample", at_least=2) if sample else None,
        out=Path(out) if out else folder / ("robustness.json" if degrade else "counterfactuals.json"),
        json=switch(json, "--json"),
    )


def card(*folders: str, json: bool = False) -> CardJob:
    """Write CARD.md from the records in a network's folder.

    Args:
        folders: network folders or names; the shipped ones when none is given.
        json: print the written files as JSON.
    """
    chosen = tuple(model_folder(Path(f)) for f in folders) or tuple(trained(name) for name in TRAINED)
    return CardJob(chosen, switch(json, "--json"))


def fetch(*, from_: str, to: str, json: bool = False) -> FetchJob:
    """Check your own download of the published image set and lay it out as a folder a class.

    Args:
        from_: the archive or folder you downloaded.
        to: folder to lay the images out in.
        json: print the record as JSON.
    """
    return FetchJob(Path(from_), Path(to), switch(json, "--json"))


COMMANDS: dict[str, Command] = {
    "audit": audit,
    "split": split,
    "train": train,
    "evaluate": evaluate,
    "card": card,
    "fetch": fetch,
}


def main() -> None:
    """Console script."""
    raise SystemExit(run("models", COMMANDS))


if __name__ == "__main__":
    main()
