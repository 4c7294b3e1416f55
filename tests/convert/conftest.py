"""What tests of conversion share: the small untrained network, loaded and converted once a session."""

from typing import TYPE_CHECKING

import pytest

from tests.convert.keras_models import CONTRACT, small_network, smear_pixels

if TYPE_CHECKING:
    from convert.quantization.float_model import FloatModel


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> "FloatModel":
    from convert.quantization.float_model import load_float

    path = tmp_path_factory.mktemp("float") / "net.keras"
    small_network().save(path)
    return load_float(path)


@pytest.fixture(scope="session")
def int8(model: "FloatModel") -> bytes:
    from convert.quantization.quantize import quantize

    return quantize(model, CONTRACT, smear_pixels(8))
