"""What an adapted head is held against: batch-norm statistics of the other folds' fields, with each kind of network."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from edge.inference.contract import InputContract
from models.adaptation.judging.baselines import batch_norm_statistics
from models.adaptation.judging.selection import START, Labelled, Setting
from models.adaptation.network.backbone import Backbone
from models.site.fields import SiteFields, load_site
from models.site.slide_folds import slide_folds
from tests.laboratories import clean, drawn_site

SIZE = (32, 32)


@pytest.fixture(scope="module")
def site() -> SiteFields:
    """Every other field of it: two a slide."""
    whole = load_site(drawn_site(3, clean(slides=5, fields=4)))
    return replace(whole, fields=whole.fields[::2])


@pytest.fixture(scope="module")
def data(site: SiteFields) -> Labelled:
    fold_of = slide_folds(site, 5)
    truth = np.array([site.labels.index(each.label) for each in site.fields])
    slides = tuple(each.slide for each in site.fields)
    folds = np.array([fold_of[slide] for slide in slides])
    return Labelled(site.labels, ("healthy",), np.zeros((len(truth), 1, 1, 4)), truth, slides, folds)


def _backbone(labels: tuple[str, ...] | None, *, folded: bool = False) -> Backbone:
    from models.support.quiet_tensorflow import import_tensorflow

    import_tensorflow()
    import keras

    keras.utils.set_random_seed(4)
    pixels = keras.Input((*SIZE, 3))
    norm = keras.layers.BatchNormalization(name="norm")
    x = keras.layers.GlobalAveragePooling2D()(keras.layers.ReLU()(norm(keras.layers.Conv2D(4, 5, strides=2)(pixels))))
    network = keras.Model(pixels, keras.layers.Dense(2, activation="softmax")(x))
    if not folded:
        norm.moving_mean.assign(np.full(4, 5.0, np.float32))  # of images far from these: every unit is silent
    contract = InputContract(SIZE, labels or ("class 0", "class 1"), benign=("healthy",) if labels else None)
    return Backbone("mine", network, contract, "0" * 64, None, labels)


def _rows(data: Labelled, site: SiteFields, backbone: Backbone) -> Any:
    contract = InputContract(SIZE, site.labels, benign=("healthy",))
    return batch_norm_statistics(data, site.fields, backbone, contract, Setting(START, True))


def test_imagenets_batch_norms_are_re_estimated_and_a_head_is_fitted(site: SiteFields, data: Labelled) -> None:
    """Its own head is untrained, which is said. The network as it is answers nothing; the site's statistics wake it."""
    backbone = _backbone(None)
    own, new = _rows(data, site, backbone)
    assert own.slides is None and "ImageNet's weights have no head" in own.why_not
    assert new.slides.right.of == 10 and new.fields.right.of == 20 and 0 < new.log_loss != pytest.approx(np.log(2))
    assert not np.asarray(backbone.network.get_layer("norm").moving_mean - 5).any(), "the network given stays"


def test_a_network_with_the_sites_classes_is_asked_by_its_own_head_too(site: SiteFields, data: Labelled) -> None:
    """And no fold's own fields are among those that its statistics are measured on."""
    seen: list[int] = []

    class Seen(Backbone):
        def with_statistics_of(self, pixels: np.ndarray) -> Backbone | None:
            seen.append(len(pixels))
            return super().with_statistics_of(pixels)

    backbone = _backbone(site.labels)
    own, new = _rows(data, site, Seen(**{name: getattr(backbone, name) for name in backbone.__dataclass_fields__}))
    assert own.slides.right.of == new.slides.right.of == 10 and own.log_loss != new.log_loss
    assert seen == [int((data.folds != fold).sum()) for fold in sorted(set(data.folds.tolist()))]


def test_folded_batch_norms_are_named(site: SiteFields, data: Labelled) -> None:
    for row in _rows(data, site, _backbone(None, folded=True)):
        assert row.slides is None and "folded into the convolutions" in row.why_not
