"""Probabilities of both models on the same prepared pixels, int8 through the device's own code path."""

import numpy as np
import numpy.typing as npt

from convert.quantization.float_model import FloatModel
from edge.inference.classifier import Classifier
from edge.inference.contract import InputContract, Pixels
from edge.system.progress import tracked
from models.networks.prediction import predict

Floats = npt.NDArray[np.float32]


def float_probabilities(model: FloatModel, contract: InputContract, pixels: Pixels) -> Floats:
    """Float32 (N, classes) of the Keras network for prepared pixels uint8 (N, H, W, 3)."""
    return predict(model.predict, contract, pixels)


def device_probabilities(classifier: Classifier, pixels: Pixels) -> Floats:
    """Float32 (N, classes) as the device computes them, image by image."""
    return np.stack([classifier.probabilities(image) for image in tracked(pixels, "int8 model, images")])
