"""`models`: words into requests."""

from pathlib import Path

from edge.commands.command_line import Command
from edge.commands.command_line import main as run
from edge.errors import UsageError
from edge.system.option_values import one_of, switch, whole_number
from models.commands.cross_validation_job import CrossValidateJob
from models.commands.decision_jobs import AbstentionJob, CalibrateJob
from models.commands.explanation_jobs import ExplainJob, ExplanationsJob
from models.commands.jobs import (
    AuditJob,
    CardJob,
    EvaluateJob,
    FetchJob,
    ProbeJob,
    ReportJob,
    SplitJob,
    TrainJob,
    bundle_of,
    check_network,
    model_folder,
)
from models.data.folds import SCHEMES
from models.data.published import TRAINED, trained


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
    abstention: bool = False,
    ood: str = "",
    degraded: bool = False,
    explanations: bool = False,
    errors: str = "",
    bundle: str = "",
    sample: str = "",
    split: str = "",
    part: str = "test",
    out: str = "",
    json: bool = False,
) -> EvaluateJob | ProbeJob | AbstentionJob | ExplanationsJob:
    """Judge a network on images it has not seen: accuracy, per-class scores, calibration, each with its interval.

    With --corruptions or --counterfactuals the images are altered, and the int8 bundle is judged beside the network;
    with --abstention both are judged as on the device, behind the gates and with the contract's decision. With
    --explanations it is measured how much of the float network's class activation maps lies on white cells.

    Args:
        model: mobilenet_v2, custom_cnn, or a folder with model.keras and contract.json.
        data: folder with one sub-folder of images a class.
        corruptions: degrade the images as microscopes do, in 18 ways and five severities.
        counterfactuals: exchange scale bars, paint them or the white cells out; count changed verdicts.
        abstention: count what is answered, rightly and wrongly, and what is refused, by reason.
        ood: with --abstention: folders of images that should be refused, DIR or DIR,DIR; labels do not matter.
        degraded: with --abstention: also every field in every form of --corruptions.
        explanations: measure where the evidence for the verdicts lies.
        errors: with --explanations: folder for a figure of every wrong verdict, which shows the image;
            build/errors/NETWORK when not given.
        bundle: int8 bundle made of the network; the shipped one for a shipped network, none for others.
        sample: altered images and explanations only: judge so many images instead of all.
        split: CSV from `models split`; the shipped one for the published set, else made from the images.
        part: test, validation or train.
        out: JSON to write; evaluation.json, robustness.json, counterfactuals.json, abstention.json or explanations.json
            in the model's folder when not given. Figures go beside it.
        json: print the record as JSON.
    """
    if part not in ("train", "validation", "test"):
        raise UsageError(f"--part must be train, validation or test; got {part!r}")
    degrade, alter = switch(corruptions, "--corruptions"), switch(counterfactuals, "--counterfactuals")
    abstain, explained = switch(abstention, "--abstention"), switch(explanations, "--explanations")
    if degrade + alter + abstain + explained > 1:
        raise UsageError(
            "--corruptions, --counterfactuals, --abstention and --explanations are separate records; give one of them"
        )
    forms = switch(degraded, "--degraded")
    _check_belongs(
        (forms, "--degraded", abstain, "--abstention"),
        (ood, "--ood", abstain, "--abstention"),
        (errors, "--errors", explained, "--explanations"),
        (sample, "--sample", degrade or alter or explained, "--corruptions, --counterfactuals or --explanations"),
        (bundle, "--bundle", degrade or alter or abstain, "--corruptions, --counterfactuals or --abstention"),
    )
    folder = model_folder(Path(model))
    images = whole_number(sample, "--sample", at_least=2) if sample else None
    chosen = Path(split) if split else None
    if abstain:
        return AbstentionJob(
            model=folder,
            bundle=bundle_of(folder, Path(bundle) if bundle else None),
            data=Path(data),
            ood=_folders(ood),
            degraded=forms,
            split=chosen,
            part=part,
            out=Path(out) if out else folder / "abstention.json",
            json=switch(json, "--json"),
        )
    if explained:
        return ExplanationsJob(
            model=folder,
            data=Path(data),
            split=chosen,
            part=part,
            sample=images,
            errors=Path(errors or f"build/errors/{folder.name}"),
            out=Path(out) if out else folder / "explanations.json",
            json=switch(json, "--json"),
        )
    if not (degrade or alter):
        target = Path(out) if out else folder / "evaluation.json"
        return EvaluateJob(folder, Path(data), chosen, part, target, switch(json, "--json"))
    return ProbeJob(
        probe="corruptions" if degrade else "counterfactuals",
        model=folder,
        bundle=bundle_of(folder, Path(bundle) if bundle else None),
        data=Path(data),
        split=chosen,
        part=part,
        sample=images,
        out=Path(out) if out else folder / ("robustness.json" if degrade else "counterfactuals.json"),
        json=switch(json, "--json"),
    )


def calibrate(network: str, *, data: str, bundle: str = "", split: str = "", json: bool = False) -> CalibrateJob:
    """Choose when a network's verdicts are given: temperature and thresholds, from validation images as they are and
    degraded.

    Writes the decision into the network's contract.json; `convert quantize` then seals it into the bundle. Exit 1 when
    no thresholds both miss no malignant field and answer enough of the others.

    Args:
        network: mobilenet_v2, custom_cnn, or a folder with model.keras and contract.json.
        data: folder with one sub-folder of images a class.
        bundle: int8 bundle made of the network; the shipped one for a shipped network, none for others.
        split: CSV from `models split`; the shipped one for the published set, else made from the images.
        json: print the record as JSON.
    """
    folder = model_folder(Path(network))
    return CalibrateJob(
        model=folder,
        bundle=bundle_of(folder, Path(bundle) if bundle else None),
        data=Path(data),
        split=Path(split) if split else None,
        json=switch(json, "--json"),
    )


def explain(network: str, *images: str, out: str = "build/explained", json: bool = False) -> ExplainJob:
    """Draw where in a field the evidence for its verdict lies (a class activation map); for study, never for diagnosis.

    Without IMAGES a field is drawn that nobody's smear gave.

    Args:
        network: mobilenet_v2, custom_cnn, or a folder with model.keras and contract.json.
        images: image files, a figure each.
        out: folder for the figures, IMAGE_class_activation.png each; they show the images.
        json: print a record an image as JSON.
    """
    files = tuple(Path(image) for image in images)
    return ExplainJob(model_folder(Path(network)), files, Path(out), switch(json, "--json"))


def cross_validate(
    network: str,
    *,
    data: str,
    scheme: str = "all",
    folds: str = "3",
    epochs: str = "",
    weights: str = "",
    size: str = "224",
    seed: str = "7",
    out: str = "",
    json: bool = False,
) -> CrossValidateJob:
    """Judge a shortened recipe on every image: by microscope fields, by blocks of file numbers, and at random.

    A network is trained for each fold; the same command continues where a killed one stood. Exit 0 when done.

    Args:
        network: custom_cnn or mobilenet_v2.
        data: folder with one sub-folder of images a class.
        scheme: fields, blocks, random, or all, one after another.
        folds: of each scheme.
        epochs: of the last stage; 3 for mobilenet_v2 and 12 for custom_cnn when not given.
        weights: backbone weights (.h5, without top) for mobilenet_v2; random when not given.
        size: side of the square input, pixels.
        seed: of folds, initialization, order and augmentation.
        out: JSON to write, other schemes' entries stay; cross_validation.json in the network's folder when not given.
        json: print the record as JSON.
    """
    name = check_network(network)
    if name == "custom_cnn" and weights:
        raise UsageError("--weights belongs to mobilenet_v2; custom_cnn is trained from scratch")
    return CrossValidateJob(
        network=name,
        data=Path(data),
        schemes=SCHEMES if one_of(scheme, "--scheme", (*SCHEMES, "all")) == "all" else (scheme,),
        folds=whole_number(folds, "--folds", at_least=2),
        epochs=whole_number(epochs, "--epochs", at_least=1) if epochs else None,
        weights=Path(weights) if weights else None,
        size=whole_number(size, "--size", at_least=32),
        seed=whole_number(seed, "--seed"),
        working=Path("build/cross_validation") / name,
        out=Path(out) if out else trained(name) / "cross_validation.json",
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


def report(*folders: str, out: str = "build/evaluation.html", json: bool = False) -> ReportJob:
    """Write one HTML page of all that was recorded about networks: what was asked, what was measured, met or missed.

    Args:
        folders: network folders or names; the shipped ones when none is given.
        out: HTML file to write; it holds its figures and needs nothing else.
        json: print what was asked and measured as JSON.
    """
    chosen = tuple(model_folder(Path(f)) for f in folders) or tuple(trained(name) for name in TRAINED)
    return ReportJob(chosen, Path(out), switch(json, "--json"))


def fetch(*, from_: str, to: str, json: bool = False) -> FetchJob:
    """Check your own download of the published image set and lay it out as a folder a class.

    Args:
        from_: the archive or folder you downloaded.
        to: folder to lay the images out in.
        json: print the record as JSON.
    """
    return FetchJob(Path(from_), Path(to), switch(json, "--json"))


def _check_belongs(*options: tuple[str | bool, str, bool, str]) -> None:
    """Refuse an option that is given (value, name) where what it belongs to (given or not, name) is not."""
    for value, option, allowed, owner in options:
        if value and not allowed:
            raise UsageError(f"{option} belongs to {owner}")


def _folders(words: str) -> tuple[Path, ...]:
    """`DIR,DIR` as folders."""
    return tuple(Path(word) for word in words.split(",") if word)


COMMANDS: dict[str, Command] = {
    "audit": audit,
    "split": split,
    "train": train,
    "evaluate": evaluate,
    "calibrate": calibrate,
    "explain": explain,
    "cross-validate": cross_validate,
    "card": card,
    "report": report,
    "fetch": fetch,
}


def main() -> None:
    """Console script."""
    raise SystemExit(run("models", COMMANDS))


if __name__ == "__main__":
    main()
