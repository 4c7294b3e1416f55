"""Features of a site's fields: what is kept, what is calculated again, and what a variation leaves alone."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edge.inference.contract import InputContract, Pixels
from edge.inference.images import read_image
from edge.inference.tiles import prepare_tiles
from models.adaptation.network.features import SiteFeatures, site_features
from models.adaptation.network.field_views import REFERENCE_MEAN, REFERENCE_SPREAD, field_views, normalized
from models.site.fields import SiteField, load_site
from models.training.stain import to_density, to_light, to_pixels
from tests.laboratories import clean, drawn_site

CONTRACT = InputContract((64, 64), ("healthy", "leukemic"), tiles=(2, 1))


class Counting:
    """A network that gives mean and spread of each channel, counts its images, and may be stopped by Ctrl-C."""

    sha256, weights_sha256, count = "0" * 64, None, 6

    def __init__(self, stop_after: int = 10**6) -> None:
        self.seen, self._stop_after = 0, stop_after

    def features(self, pixels: Pixels) -> np.ndarray:
        self.seen += len(pixels)
        if self.seen > self._stop_after:
            raise KeyboardInterrupt
        return np.concatenate([pixels.mean(axis=(1, 2)), pixels.std(axis=(1, 2))], axis=1).astype(np.float32)


@pytest.fixture(scope="module")
def fields() -> Iterator[tuple[SiteField, ...]]:
    yield load_site(drawn_site(11, clean(slides=2, fields=3))).fields


def _features(network: Counting, fields: tuple[SiteField, ...], cache: Path) -> SiteFeatures:
    return site_features(network, CONTRACT, fields, 1, cache)  # type: ignore[arg-type]


def test_an_interrupted_run_goes_on_where_it_ended(fields: tuple[SiteField, ...], tmp_path: Path) -> None:
    each = 4 * 2  # the field, a variation, the stain normalized and white cells painted out, in two tiles
    stopped = Counting(stop_after=4 * each)
    with pytest.raises(KeyboardInterrupt):
        _features(stopped, fields, tmp_path)
    rest, again = Counting(), Counting()
    first = _features(rest, fields, tmp_path)
    assert rest.seen == (len(fields) - 4) * each
    second = _features(again, fields, tmp_path)
    assert (
        again.seen == 0
        and np.array_equal(first.values, second.values)
        and np.array_equal(first.normalized, second.normalized)
    )
    assert first.values.shape == (len(fields), 2, 2, 6) and first.painted.shape == (len(fields), 6)


def test_a_damaged_or_foreign_file_is_calculated_again(fields: tuple[SiteField, ...], tmp_path: Path) -> None:
    whole = _features(Counting(), fields, tmp_path)
    [damaged] = tmp_path.glob(f"*/{fields[0].sample.sha256}.npz")
    damaged.write_bytes(damaged.read_bytes()[:100])
    mended, other = Counting(), Counting()
    assert np.array_equal(_features(mended, fields, tmp_path).values, whole.values) and mended.seen == 8
    other.sha256 = "1" * 64  # type: ignore[misc]
    _features(other, fields, tmp_path)
    assert other.seen == 8 * len(fields)


def test_views(fields: tuple[SiteField, ...]) -> None:
    """First the field's own tiles; variations differ a little, alike at each call; painted out there is no nucleus."""
    sick = next(each for each in fields if each.label == "leukemic")
    seen, again = field_views(sick, CONTRACT, 2), field_views(sick, CONTRACT, 2)
    assert np.array_equal(seen.tiles, again.tiles)
    assert np.array_equal(seen.tiles[0], prepare_tiles(CONTRACT, read_image(sick.sample.path)))
    moved = [np.abs(view.astype(float) - seen.tiles[0]).mean() for view in seen.tiles[1:3]]
    assert all(0.5 < each < 60 for each in moved) and moved[0] != moved[1]
    assert seen.tiles[4].min() > seen.tiles[0].min()
    assert seen.colours.shape == (6,)


def test_a_normalized_field_has_the_reference_stain(fields: tuple[SiteField, ...]) -> None:
    """And another lamp or dye makes nearly no difference to it; negative control: to the field as it is, it does."""
    tiles = prepare_tiles(CONTRACT, read_image(fields[0].sample.path))
    other = to_pixels(to_light(to_density(tiles.reshape(-1, 64, 3)) * np.float32(1.3) + np.float32(0.05)))
    one, two = normalized(tiles), normalized(other.reshape(tiles.shape))
    density = to_density(one.reshape(-1, 64, 3))
    np.testing.assert_allclose(density.mean(axis=(0, 1)), REFERENCE_MEAN, atol=0.03)
    np.testing.assert_allclose(density.std(axis=(0, 1)), REFERENCE_SPREAD, atol=0.03)
    moved = [np.abs(a.astype(float) - b).mean() for a, b in ((one, two), (tiles, other.reshape(tiles.shape)))]
    assert moved[0] < 2 and moved[1] > 10


def test_other_tiles_are_other_features(fields: tuple[SiteField, ...], tmp_path: Path) -> None:
    _features(Counting(), fields, tmp_path)
    whole = Counting()
    site_features(whole, replace(CONTRACT, tiles=None), fields, 1, tmp_path)  # type: ignore[arg-type]
    assert whole.seen == 4 * len(fields)
