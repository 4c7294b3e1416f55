"""The gain of the search on networks that post-training quantization hurts.

    python -m docs.studies.conversion.recovery run --weights BACKBONE --data IMAGES --out FILE

The hard case: MobileNetV2 whose batch norms are folded into its convolutions, with one channel of a linear activation
blown up, and what reads it scaled down by as much. The float network answers as before; in int8 the scale of that
activation is too coarse for all its other channels. Its head is fitted to the training part (logistic regression on the
backbone's features), its search judged on the validation part, what it found on the test part.
"""

import json as json_format
import logging
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from convert.calibration.calibration_set import choose
from convert.calibration.evaluation_data import ImageFolder, Source
from convert.certification.job import quantize_model
from convert.certification.settings import Settings
from convert.parity.policy import Policy
from docs.studies.command import Study, output, run
from edge.bundle.files import SEARCH_LOG
from edge.commands.command_line import Outcome
from edge.inference.contract import InputContract, Pixels
from edge.system.option_values import whole_number
from models.data.published import LABELS
from models.networks.architectures import mobilenet_v2
from models.networks.prediction import predictor

_log = logging.getLogger(__name__)

HEAD_IMAGES = 800
CONTRACT = InputContract((224, 224), LABELS)


@dataclass(frozen=True)
class Case:
    """Layers of MobileNetV2 that compute one linear activation, and those that read it."""

    producers: tuple[str, ...]
    readers: tuple[str, ...]
    channel: int


CASES = {
    "folded": Case((), (), 0),
    "projection": Case(("expanded_conv_project",), ("block_1_expand",), 5),
    "residual": Case(
        ("block_6_project", "block_7_project", "block_8_project", "block_9_project"),
        ("block_7_expand", "block_8_expand", "block_9_expand", "block_10_expand"),
        11,
    ),
}


@dataclass(frozen=True)
class RecoveryStudy(Study):
    """Search for an int8 file of each case."""

    weights: Path
    data: Path
    factor: int

    def execute(self) -> Outcome:
        """A record a case; nothing is judged."""
        images = ImageFolder(self.data)
        source = images.source(LABELS)
        head = None
        rows: list[dict[str, Any]] = []
        with tempfile.TemporaryDirectory() as folder:
            for name, case in CASES.items():
                network = mobilenet_v2(weights=self.weights)
                head = head or _fitted_head(network, source)
                network.get_layer("probabilities").set_weights(head)
                _blow_up(network, case, self.factor)
                (Path(folder) / name).mkdir()
                network.save(Path(folder) / name / "model.keras")
                (Path(folder) / name / "contract.json").write_text(CONTRACT.to_json(), encoding="utf-8")
                rows.append(_searched(Path(folder), name, images))
                _log.info(_line(rows[-1]))
        record = {"weights": self.weights.name, "factor": self.factor, "head_images": HEAD_IMAGES, "cases": rows}
        return self.finished(record, "\n".join(_line(row) for row in rows))


def _fitted_head(network: Any, source: Source) -> list[Any]:
    """Weights and bias of the last layer: logistic regression on what the backbone makes of training images."""
    import keras
    from sklearn.linear_model import LogisticRegression

    samples = source.split.samples(source.image_set, "train")
    chosen = choose(samples, CONTRACT, count=HEAD_IMAGES, groups=source.split.groups())
    features = keras.Model(network.inputs, network.get_layer("pool").output)
    truth = [LABELS.index(label) for label in chosen.labels]
    fitted = LogisticRegression(max_iter=2000).fit(_features(features, chosen.pixels), truth)
    return [fitted.coef_.T.astype(np.float32), fitted.intercept_.astype(np.float32)]


def _features(network: Any, pixels: Pixels) -> Any:
    return predictor(network, CONTRACT)(pixels)


def _blow_up(network: Any, case: Case, factor: int) -> None:
    """The channel `factor` times as far-reaching in what computes it, its weights as much smaller in what reads it."""
    backbone = network.get_layer("backbone")
    for name in case.producers:
        kernel, *bias = backbone.get_layer(name).get_weights()
        kernel[..., case.channel] *= factor
        backbone.get_layer(name).set_weights([kernel, *bias])
        gamma, beta, mean, variance = backbone.get_layer(f"{name}_BN").get_weights()
        beta[case.channel] *= factor
        mean[case.channel] *= factor
        backbone.get_layer(f"{name}_BN").set_weights([gamma, beta, mean, variance])
    for name in case.readers:
        kernel, *bias = backbone.get_layer(name).get_weights()
        kernel[:, :, case.channel, :] /= factor
        backbone.get_layer(name).set_weights([kernel, *bias])


def _searched(folder: Path, name: str, images: ImageFolder) -> dict[str, Any]:
    settings = Settings(Policy.default(), search=True)
    certificate = quantize_model(folder / name / "model.keras", None, images, settings, folder / "bundles")
    log = json_format.loads((folder / "bundles" / f"{name}-int8" / SEARCH_LOG).read_text(encoding="utf-8"))
    return {"case": name, "verdict": certificate["verdict"], **log}


def _line(row: dict[str, Any]) -> str:
    test = row["test"]
    plain, chosen = (100 * test[which]["accuracy_int8"] for which in ("plain", "chosen"))
    return (
        f"{row['case']:12} float {100 * test['plain']['accuracy_float']:.2f} %, plain int8 {plain:.2f} %, "
        f"found {chosen:.2f} %, {row['seconds']:.0f} s, {row['verdict']}"
    )


def study(*, weights: str, data: str, factor: str = "64", out: str = "", json: bool = False) -> RecoveryStudy:
    """Search for int8 files of three hard networks.

    Args:
        weights: MobileNetV2's backbone with its batch norms folded (.h5, without top).
        data: folder with one sub-folder of images a class.
        factor: by which the channel is blown up.
        out: JSON to write.
        json: print the record as JSON.
    """
    return RecoveryStudy(
        Path(weights),
        Path(data),
        whole_number(factor, "--factor", at_least=1),
        **output(out, json),
    )


if __name__ == "__main__":
    run({"run": study})
