"""Calibration sets taken as they are: a folder, an array file, or a user's own representative dataset."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from convert.calibration.calibration_set import Calibration, lint, pixel_digests
from convert.calibration.lint import lint_inputs
from convert.errors import CalibrationError
from convert.quantization.findings import Finding
from edge.inference.contract import InputContract, Pixels
from models.data.dataset import Sample, load_pixels, scan
from models.training.training_statistics import TrainingStatistics

MOST_BATCHES = 5000  # taken from a generator that may never end


def from_batches(
    batches: Iterable[Any], contract: InputContract, statistics: TrainingStatistics | None = None
) -> Calibration:
    """A user's own representative dataset: whatever yields arrays, or lists of one, of one or more images.

    Whole numbers of uint8 are taken as prepared pixels in RGB; floating-point numbers as model values, which
    are turned back into pixels through the contract, so that every rule applies to both.

    Raises:
        CalibrationError: nothing in it, arrays of another shape, or an endless generator.
    """
    images = _images_of(batches, contract)
    findings: tuple[Finding, ...] = ()
    if images.dtype != np.uint8:
        wrong = lint_inputs(images, contract)
        images = _pixels_of(images, contract)
        findings = tuple(wrong)
    names = tuple(f"image {number}" for number in range(len(images)))
    found = Calibration(names, pixel_digests(images), ("",) * len(names), images, "given", 0)
    if any(f.severity == "refuse" for f in findings):
        return replace(found, findings=findings)  # pixels made from wrong values would only add noise
    return replace(found, findings=findings + lint(found, contract, statistics=statistics))


def check(
    source: Path,
    contract: InputContract,
    *,
    evaluation: Sequence[Sample] = (),
    groups: Mapping[str, str] | None = None,
    statistics: TrainingStatistics | None = None,
) -> Calibration:
    """What `convert calibration` answers: a calibration set as it stands, with everything the lint says.

    Args:
        source: a folder, a folder a class, or a `.npy` or `.npz` file with one array (N, height, width, 3).
        contract: of the model it is meant for.
        evaluation: images that will judge the model.
        groups: sha256 to microscope field, of both.
        statistics: of the training pixels.

    Raises:
        CalibrationError: no such file, or no array of images in it.
        DatasetError: a folder that is no set of images.
    """
    if source.is_dir():
        found = scan(source)
        pixels = load_pixels(found.samples, contract)
        names, digests = tuple(s.name for s in found.samples), tuple(s.sha256 for s in found.samples)
        made = Calibration(names, digests, tuple(s.label for s in found.samples), pixels, "given", 0)
        findings = lint(made, contract, evaluation=evaluation, groups=groups, statistics=statistics)
        trouble = tuple(
            Finding("warn", f"file-{p.kind}", p.detail, (p.name,)) for p in found.problems if p.kind != "duplicate"
        )
        return replace(made, findings=findings + trouble)
    return from_batches([_load_array(source)], contract, statistics)


def _load_array(path: Path) -> npt.NDArray[Any]:
    if path.suffix not in (".npy", ".npz"):
        what = "no such file or folder" if not path.exists() else "must be a folder, a .npy or a .npz file"
        raise CalibrationError(f"{path}: {what}")
    try:
        loaded = np.load(path, allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            return loaded
        with loaded:
            if len(loaded.files) != 1:
                raise CalibrationError(f"{path}: must hold one array; got {', '.join(loaded.files) or 'none'}")
            return np.asarray(loaded[loaded.files[0]])
    except OSError as error:
        raise CalibrationError(f"{path}: {error.strerror or error}") from error
    except CalibrationError:
        raise
    except Exception as error:  # a damaged archive raises what zipfile, zlib and NumPy's header parser raise
        raise CalibrationError(f"{path}: not a readable NumPy file") from error


def _images_of(batches: Iterable[Any], contract: InputContract) -> npt.NDArray[Any]:
    """All images of a representative dataset in one dtype: pixels (N, H, W, 3), or values (N, H, W, channels)."""
    parts = []
    shape = contract.input_shape
    taken = {"f": (shape,), "u": (shape, (*shape[:2], 3))}  # pixels are RGB, or grey levels for a model that takes such
    for number, batch in enumerate(batches):
        if number >= MOST_BATCHES:
            raise CalibrationError(f"the generator has not ended after {MOST_BATCHES} batches")
        only = batch[0] if isinstance(batch, list | tuple) and len(batch) == 1 else batch
        array = np.asarray(only)
        array = array[np.newaxis] if array.ndim == 3 else array
        if array.ndim != 4 or array.dtype.kind not in "uf" or array.shape[1:] not in taken[array.dtype.kind]:
            raise CalibrationError(
                f"batch {number} must be (N, {', '.join(map(str, shape))}) numbers; got {array.dtype} {array.shape}"
            )
        if array.dtype.kind == "u" and array.dtype != np.uint8:
            raise CalibrationError(f"batch {number} must be uint8 or floating-point; got {array.dtype}")
        if array.dtype == np.uint8:
            parts.append(np.repeat(array, 3, axis=3) if array.shape[3] == 1 else array)
        else:
            parts.append(array.astype(np.float32))
    if not parts or not sum(map(len, parts)):
        raise CalibrationError("the calibration set holds no image")
    if len({p.dtype for p in parts}) > 1:
        raise CalibrationError("every batch must have the same dtype; got uint8 and floating-point ones")
    return np.concatenate(parts)


def _pixels_of(inputs: npt.NDArray[Any], contract: InputContract) -> Pixels:
    """Model values (N, H, W, channels) back to pixels (N, H, W, 3) RGB, clipped to the contract's range."""
    real = np.nan_to_num(inputs.astype(np.float64))
    pixels = (real - np.array(contract.offset)) / np.array(contract.scale)
    whole = np.clip(np.rint(pixels), 0, 255).astype(np.uint8)
    if contract.channel_order == "GRAY":
        return np.repeat(whole, 3, axis=3)
    return np.ascontiguousarray(whole if contract.channel_order == "RGB" else whole[..., ::-1])
