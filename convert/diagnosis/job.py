"""The diagnosis of an int8 file: it and its float network run on the same images and compared layer by layer.

The float side is a float TFLite file converted on the spot from the same network, since its tensors match the int8
file's one to one (docs/decisions/0021-diagnose.md). Nothing is converted to int8 here, and nothing is judged:
`convert parity` does.
"""

import contextlib
import resource
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from convert.calibration.calibration_set import choose
from convert.calibration.evaluation_data import ImageFolder, Source, not_judging
from convert.diagnosis.activations import Activations, Layer
from convert.diagnosis.causes import Cause, Findings, causes
from convert.diagnosis.io_tensors import contract_differences, look_at_ends
from convert.diagnosis.layer_effects import Seen, effects
from convert.diagnosis.ranges import calibrated
from convert.diagnosis.record import FORMAT, ContractRecord, DiagnosisRecord, FileRecord
from convert.diagnosis.rescaling import in_scales_of
from convert.diagnosis.weights import Weights, weigh
from convert.errors import DiagnoseError, PreprocessingError, TooFewImagesError
from convert.parity.stopwatch import Stopwatch
from convert.quantization.contract_evidence import settle
from convert.quantization.contract_inference import infer_contract, loading_with
from convert.quantization.converter.process import shared_converter
from convert.quantization.float_model import AS_IT_IS, FloatModel, Loading, load_float
from convert.quantization.postcheck import check_labels
from convert.quantization.preprocessing_check import MOST_IMAGES, check_preprocessing
from convert.quantization.quantize import float_tflite
from convert.tflite.inspection import TensorInfo, inspect
from convert.tflite.matching import Matched, match
from edge.bundle import bundle as bundles
from edge.errors import ContractError
from edge.inference.contract import FLOAT32, InputContract, Pixels, Quantization
from edge.inference.scores import both_classes
from edge.inference.tflite.model_file import read_model
from edge.inference.tiles import tiles_of
from edge.settings.trusted_keys import machine_keys
from edge.system.progress import Progress
from edge.system.streams import silenced
from models.data.dataset import Sample
from models.data.split import SplitError
from models.support.versions import versions

LEAST_IMAGES = 8  # halves of four; below that no range is worth a word
EFFECT_IMAGES = 6  # on which each layer's effect on the logits is measured; every value of them is kept meanwhile
UNRELATED = 0.3  # correlation of weights below which they are others'; equalized ones stay well above
SEED = 0


@dataclass(frozen=True, eq=False)
class Int8Model:
    """An int8 file with what is known about it: the contract and the number of calibration images of its bundle."""

    path: Path
    model: bytes
    contract: InputContract | None = None
    calibration_images: int | None = None


@dataclass(frozen=True, eq=False)
class Images:
    """Prepared pixels uint8 (N, height, width, 3) RGB, with names, classes, and where they come from."""

    pixels: Pixels
    names: tuple[str, ...]
    truth: np.ndarray[Any, np.dtype[np.int64]]
    origin: str


@dataclass(frozen=True, eq=False)
class Diagnosis:
    """What was found: `findings` with every number, `causes` ranked, `record` of it all."""

    findings: Findings
    causes: tuple[Cause, ...]
    record: DiagnosisRecord


def diagnose(
    model_path: Path,
    int8_path: Path,
    contract_file: Path | None,
    data: ImageFolder,
    count: int,
    loading: Loading = AS_IT_IS,
) -> Diagnosis:
    """Diagnose one pair.

    Args:
        model_path: the float network. int8_path: a TFLite file or a bundle.
        contract_file: what the network is fed; found beside it or inferred when None.
        data: a folder a class.
        count: images wanted, in equal numbers a class.

    Raises:
        LeukoscopeError: a model, file or folder that is not what it must be, or two that do not belong together.
        TooFewImagesError: fewer than `LEAST_IMAGES`.
    """
    watch = Stopwatch()
    with watch("load"):
        int8 = read_int8(int8_path)
        shared_converter().start()  # it loads TensorFlow beside this process
        model = load_float(model_path, loading_with(loading, model_path, contract_file))
        inferred = infer_contract(model, contract_file, folders=data.class_folders())
        if not inferred.given:
            source = data.source(inferred.contract.labels)
            inferred, _ = settle(model, inferred, *not_judging(source, inferred.contract, MOST_IMAGES))
        contract = inferred.contract
        differs = check_pair(model, contract, int8)
    with watch("images"):
        images = choose_images(data.source(contract.labels), contract, count)
    with watch("convert"):
        plain_model = float_tflite(model)
        names = layer_names(model.network)
        matched = match(plain_model, int8.model, names, str(int8_path))
        rescaled = in_scales_of(plain_model, int8.model, matched)
        if rescaled is not None:
            plain_model = rescaled.model
            matched = match(plain_model, int8.model, names, str(int8_path))
        weights = weigh(plain_model, int8.model, matched)
        require_same_network(weights, int8_path)
    contract = contract.untiled()  # from here on a tile is an image: `choose_images` has cut the fields
    fed = (contract, (int8.contract or contract).untiled())
    with watch("activations"):
        layers, seen, before, after = _run(plain_model, int8.model, matched, images, fed)
    with watch("effects"), Progress("layers alone", len(matched.pairs)) as bar:
        alone = effects(plain_model, matched, seen, bar.advance)
    del seen
    with watch("causes"):
        findings = Findings(
            layers=layers,
            effects=alone,
            weights=weights,
            calibrated=calibrated(layers, images.names, int8.calibration_images, SEED),
            ends=look_at_ends(fed[1], differs, (matched.int8.inputs[0], matched.int8.outputs[0]), before, after),
            feeding=_feeding(model, contract, images, before),
            logits=matched.logits.name,
            unmatched=matched.unmatched,
            equalized=() if rescaled is None else tuple(p.name for p in matched.pairs if p.place in rescaled.places),
            images=len(images.names),
        )
        ranked = causes(findings)
    return Diagnosis(findings, ranked, _record(findings, ranked, model, int8, contract, images, watch.seconds))


def read_int8(path: Path) -> Int8Model:
    """A TFLite file, or a bundle's folder.

    Raises:
        ModelFileError, BundleError: none, or damaged. DiagnoseError: not int8, or compiled for the Edge TPU.
    """
    if path.is_dir():
        bundle = bundles.load(path, trust=machine_keys(), allow_uncertified=True, allow_unsigned=True, any_name=True)
        images = bundle.calibration.get("images")
        found = Int8Model(path, bundle.model, bundle.contract, images if isinstance(images, int) else None)
    else:
        found = Int8Model(path, read_model(path))
    seen = inspect(found.model, str(path))
    if seen.edgetpu_compiled:
        raise DiagnoseError(f"{path}: compiled for the Edge TPU: give the file it was compiled from")
    ends = (*seen.inputs, *seen.outputs)
    if len(ends) != 2 or any(t.dtype not in ("int8", "uint8") or len(t.scales) != 1 for t in ends):
        said = ", ".join(f"{t.dtype} {'x'.join(map(str, t.shape))}" for t in ends) or "none"
        raise DiagnoseError(f"{path}: must have one int8 or uint8 input and one such output; got {said}")
    return found


def check_pair(model: FloatModel, contract: InputContract, int8: Int8Model) -> tuple[str, ...]:
    """Refuse an int8 file of another size, number of classes or labels; fields in which its contract differs."""
    seen = inspect(int8.model, str(int8.path))
    for tensor, wanted in ((seen.inputs[0], (1, *contract.input_shape)), (seen.outputs[0], (1, contract.outputs))):
        if tensor.shape != wanted:
            raise DiagnoseError(
                f"{int8.path}: not made from {model.path}: {'x'.join(map(str, wanted))} expected; it has"
                f" {'x'.join(map(str, tensor.shape))}"
            )
    check_labels(int8.model, contract)
    if int8.contract is None:
        return ()
    if int8.contract.labels != contract.labels:
        raise DiagnoseError(
            f"{int8.path}: not made from {model.path}: labels {', '.join(contract.labels)} expected; it has"
            f" {', '.join(int8.contract.labels)}"
        )
    return contract_differences(contract, int8.contract)


def require_same_network(weights: tuple[Weights, ...], path: Path) -> None:
    """Refuse a file whose weights are, for the most part, unrelated to the float network's."""
    foreign = [w.name for w in weights if w.likeness < UNRELATED]
    if len(foreign) > max(1, len(weights) // 2):
        raise DiagnoseError(
            f"{path}: not made from this network: the weights of {len(foreign)} of {len(weights)} layers are other ones"
        )


def choose_images(source: Source, contract: InputContract, count: int) -> Images:
    """In equal numbers a class, of the validation part, with the training part where that is too small; never of the
    test part, which is for judging. Where the contract has tiles, each is an image with its field's class.

    Raises:
        TooFewImagesError: fewer than `LEAST_IMAGES` asked for or found.
    """
    if count < LEAST_IMAGES:
        raise TooFewImagesError(
            f"at least {LEAST_IMAGES} images are needed to say where an error comes from; got {count}"
        )
    pool, part = _not_judging(source, count)
    chosen = choose(pool, contract, count=count, seed=SEED, groups=source.split.groups()) if pool else None
    found = len(chosen.names) if chosen else 0
    if chosen is None or found < LEAST_IMAGES:
        raise TooFewImagesError(
            f"at least {LEAST_IMAGES} images are needed to say where an error comes from; {source.root} has {found}"
            f" that are not in the test part of the split ({source.origin})"
        )
    truth = np.array([contract.labels.index(label) for label in chosen.labels], np.int64)
    order = np.random.default_rng(SEED).permutation(len(truth))  # by class as they come: halves would be classes
    names = tuple(chosen.names[k] for k in order)
    if contract.tiles is None:
        return Images(chosen.pixels[order], names, truth[order], f"{part}, {source.origin}")
    views, tiles = tiles_of(contract, chosen.pixels[order]), range(1, contract.tile_count + 1)
    every = tuple(f"{name}, tile {k}" for name in names for k in tiles)
    return Images(views, every, truth[order].repeat(len(tiles)), f"tiles of the {part}, {source.origin}")


def _not_judging(source: Source, count: int) -> tuple[tuple[Sample, ...], str]:
    """(images to choose from, the parts of the split they are of)."""
    pools: dict[str, tuple[Sample, ...]] = {}
    for part in ("validation", "train"):
        with contextlib.suppress(SplitError):  # a part without an image here
            pools[part] = source.split.samples(source.image_set, part)
    validation = pools.get("validation", ())
    if len(validation) >= count:
        return validation, "validation part"
    return validation + pools.get("train", ()), f"{' and '.join(pools) or 'no'} part"


def layer_names(network: Any) -> frozenset[str]:
    """Names of a Keras network's layers, those of networks inside it too; none of a SavedModel."""
    found: set[str] = set()
    for layer in getattr(network, "layers", ()):
        inner = layer_names(layer)
        found |= inner or {str(layer.name)}
    return frozenset(found)


def _run(
    plain_model: bytes, int8_model: bytes, matched: Matched, images: Images, fed: tuple[InputContract, InputContract]
) -> tuple[tuple[Layer, ...], list[Seen], Any, Any]:
    """Both files on every image: layers, all values of the first few, float's probabilities and int8's outputs."""
    with silenced():
        activations = Activations(plain_model, int8_model, matched)
    plain, int8 = fed[0].encoder(FLOAT32), fed[1].encoder(_format(matched.int8.inputs[0]))
    last = matched.pairs[-1]
    kept: list[Seen] = []
    before, after = [], []
    with Progress("images", len(images.pixels)) as bar:
        for pixels in images.pixels:
            seen = activations.see(plain(pixels), int8(pixels))
            before.append(seen[0][last.output.index].reshape(-1))
            after.append(activations.answer())
            if len(kept) < EFFECT_IMAGES:
                kept.append(seen)
            bar.advance()
    return activations.layers(), kept, both_classes(np.stack(before)), np.stack(after)


def _feeding(model: FloatModel, contract: InputContract, images: Images, before: Any) -> PreprocessingError | None:
    try:
        with silenced():
            check_preprocessing(model, contract, images.pixels, images.truth, before)
    except PreprocessingError as error:
        return error
    return None


def _format(tensor: TensorInfo) -> Quantization:
    zero_point = int(tensor.zero_points[0]) if len(tensor.zero_points) else 0
    try:
        return Quantization("int8" if tensor.dtype == "int8" else "uint8", float(tensor.scales[0]), zero_point)
    except ContractError as error:
        raise DiagnoseError(f"its input tensor: {error}") from error


def _record(
    found: Findings,
    ranked: tuple[Cause, ...],
    model: FloatModel,
    int8: Int8Model,
    contract: InputContract,
    images: Images,
    seconds: dict[str, float],
) -> DiagnosisRecord:
    by_name = {effect.name: effect for effect in found.effects}
    layers = [layer.to_record() for layer in found.layers]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 if sys.platform == "darwin" else 1024)
    return DiagnosisRecord(
        format=FORMAT,
        network=FileRecord(model.name, model.sha256),
        int8=FileRecord(int8.path.name, inspect(int8.model).sha256),
        contract=ContractRecord(list(contract.size), list(contract.labels)),
        images=len(images.names),
        origin=images.origin,
        effect_images=EFFECT_IMAGES,
        verdict="fault" if any(c.of_weight for c in ranked) else "sound",
        agreement=round(found.ends.agreement, 4),
        logits_db=round(found.layer(found.logits).sqnr_db, 2),
        causes=[cause.to_record() for cause in ranked],
        layers=[by_name[layer.name].added_to(layer) if layer.name in by_name else layer for layer in layers],
        weights=[w.to_record() for w in found.weights],
        calibration=found.calibrated.to_record(),
        ends=found.ends.to_record(),
        unmatched=list(found.unmatched),
        cpu_seconds=round(time.process_time(), 1),
        seconds={phase: round(spent, 2) for phase, spent in seconds.items()},
        peak_rss_mb=round(peak),
        versions=versions(),
    )
