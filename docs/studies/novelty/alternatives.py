"""Alternatives to the novelty gate: other numbers, other densities, and the network itself.

Every alternative gives a frame a score, larger for stranger, made from training images alone, and a limit that the
same share of the validation images exceed; so they differ in nothing but what they see.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
import numpy.typing as npt

from docs.studies.novelty.published_fields import CONTRACT, Part
from edge.inference.benign import benign_labels
from edge.inference.contract import Pixels
from edge.inference.gates.novelty import Novelty
from models.data.published import LABELS, bundles
from models.decision.prototypes import Measured, fit_family, measure, scaled_about, scores, shrunk_precision

Floats = npt.NDArray[np.float64]
T = TypeVar("T")
(BENIGN,) = benign_labels(LABELS)
Score = Callable[[Pixels], Floats]
NEIGHBOURS = 5
_TRAIN_STRIDE = 3  # of the training images whose features the network is asked for


class Once(Generic[T]):
    """A function of frames that is asked once for each array; it keeps the arrays, so that no other gets their id."""

    def __init__(self, function: Callable[[Pixels], T]) -> None:
        self._function = function
        self._given: dict[int, tuple[Pixels, T]] = {}

    def __call__(self, frames: Pixels) -> T:
        if id(frames) not in self._given:
            self._given[id(frames)] = frames, self._function(frames)
        return self._given[id(frames)][1]


def alternatives(train: Part, network: str, novelty: Novelty) -> dict[str, Score]:
    """Name -> (N,) scores of prepared frames uint8 (N, 224, 224, 3).

    Args:
        train: images to fit to. network: shipped int8 bundle, "mobilenet_v2-int8". novelty: the gate, last of them.
    """
    once = Once(measure)
    measured, labels = once(train.pixels), train.labels
    both = np.hstack([measured["stain"], measured["structure"]])
    moments = six_numbers(train.pixels)
    found = {
        "six numbers (mean, spread of R, G, B), a Gaussian a class": _of(six_numbers, _gaussians(moments, labels)),
        "stain, prototypes": _family(once, "stain", _prototypes(measured["stain"], labels)),
        "structure, prototypes": _family(once, "structure", _prototypes(measured["structure"], labels)),
        "stain and structure as one family, prototypes": _both(once, _prototypes(both, labels)),
        "stain and structure as one family, a Gaussian a class": _both(once, _gaussians(both, labels)),
        "stain and structure as one family, fifth neighbour": _both(once, _neighbours(both, labels)),
    }
    asked = Network(network)
    features = asked.ask(np.ascontiguousarray(train.pixels[::_TRAIN_STRIDE]))["features"]
    gaussians = _gaussians(features / features.std(), labels[::_TRAIN_STRIDE], scaled=False)
    found |= {
        f"{network}: 1 - highest probability": lambda pixels: 1 - asked.ask(pixels)["probabilities"].max(axis=1),
        f"{network}: energy": lambda pixels: -np.logaddexp.reduce(asked.ask(pixels)["logits"], axis=1),
        f"{network}: features, a Gaussian a class": lambda pixels: gaussians(
            asked.ask(pixels)["features"] / features.std()
        ),
        "stain and structure, prototypes, each with its limit (the gate)": lambda pixels: scores(novelty, once(pixels)),
    }
    return found


class Network:
    """A shipped int8 network with what lies before its answer kept; answers for the same frames are given once.

    Energy: Liu et al. 2020 (arXiv 2010.03759). Features: Lee et al. 2018 (arXiv 1807.03888).

    Args:
        name: of the bundle.
    """

    def __init__(self, name: str) -> None:
        from ai_edge_litert.interpreter import Interpreter

        content = (Path(bundles()) / name / "model.tflite").read_bytes()
        self._engine = Interpreter(model_content=content, experimental_preserve_all_tensors=True, num_threads=1)
        self._engine.allocate_tensors()
        steps = [step for step in self._engine._get_ops_details() if step["op_name"] != "DELEGATE"]
        softmax = next(step for step in steps if step["op_name"] == "SOFTMAX")
        last = next(step for step in steps if step["outputs"][0] == softmax["inputs"][0])
        self._details = {one["index"]: one for one in self._engine.get_tensor_details()}
        self._tensors = {
            "features": int(last["inputs"][0]),
            "logits": int(softmax["inputs"][0]),
            "probabilities": int(softmax["outputs"][0]),
        }
        self._once = Once(self._ask)

    def ask(self, frames: Pixels) -> dict[str, Floats]:
        """Features (N, F), logits (N, C) and probabilities (N, C) of prepared frames."""
        return self._once(frames)

    def calls_benign(self, frames: Pixels) -> npt.NDArray[np.bool_]:
        """(N,) whether the answer is Benign."""
        return np.asarray(self.ask(frames)["logits"].argmax(axis=1) == CONTRACT.labels.index(BENIGN))

    def _ask(self, frames: Pixels) -> dict[str, Floats]:
        rows = [self._one(pixels) for pixels in frames]
        return {name: np.array([row[name] for row in rows]) for name in self._tensors}

    def _one(self, pixels: Pixels) -> dict[str, Floats]:
        tensor = (pixels ^ 0x80).view(np.int8)[None]  # the shipped networks take pixel - 128
        self._engine.set_tensor(self._engine.get_input_details()[0]["index"], tensor)
        self._engine.invoke()
        return {name: self._real(index) for name, index in self._tensors.items()}

    def _real(self, index: int) -> Floats:
        scale, zero = self._details[index]["quantization"]
        return np.asarray((self._engine.get_tensor(index).astype(np.float64).ravel() - zero) * scale)


def six_numbers(frames: Pixels) -> Floats:
    """(N, 6): mean and standard deviation of R, G and B."""
    return np.array([[*pixels.mean((0, 1)), *pixels.std((0, 1))] for pixels in frames])


def _of(numbers: Callable[[Pixels], Floats], score: Callable[[Floats], Floats]) -> Score:
    return lambda pixels: score(numbers(pixels))


def _family(once: Once[Measured], name: str, score: Callable[[Floats], Floats]) -> Score:
    return lambda pixels: score(once(pixels)[name])


def _both(once: Once[Measured], score: Callable[[Floats], Floats]) -> Score:
    return lambda pixels: score(np.hstack(list(once(pixels).values())))


def _prototypes(values: Floats, labels: npt.NDArray[Any]) -> Callable[[Floats], Floats]:
    family = fit_family(values, labels)
    return lambda rows: np.array([family.distance(row)[0] for row in rows])


def _gaussians(values: Floats, labels: npt.NDArray[Any], *, scaled: bool = True) -> Callable[[Floats], Floats]:
    """Mahalanobis distance to the nearest class, each with its own covariance."""
    centre, scale, within = scaled_about(values) if scaled else (np.zeros(1), np.ones(1), values)
    kinds = []
    for label in np.unique(labels):
        own = within[labels == label]
        kinds.append((own.mean(axis=0), shrunk_precision(own - own.mean(axis=0))))

    def score(rows: Floats) -> Floats:
        offsets = (rows - centre) / scale
        squared = [(((offsets - mean) @ precision) * (offsets - mean)).sum(axis=1) for mean, precision in kinds]
        return np.asarray(np.sqrt(np.min(squared, axis=0)))

    return score


def _neighbours(values: Floats, labels: npt.NDArray[Any]) -> Callable[[Floats], Floats]:
    """Distance to the fifth nearest training image, whitened within classes."""
    from sklearn.neighbors import NearestNeighbors

    centre, scale, scaled = scaled_about(values)
    within = np.vstack([scaled[labels == each] - scaled[labels == each].mean(axis=0) for each in np.unique(labels)])
    whitening = np.linalg.cholesky(shrunk_precision(within))
    tree = NearestNeighbors(n_neighbors=NEIGHBOURS).fit(scaled @ whitening)
    return lambda rows: np.asarray(tree.kneighbors((rows - centre) / scale @ whitening)[0][:, -1])
