"""Frozen features of a site's fields, calculated once and kept: an interrupted run goes on where it ended.

One file a field, named after the digest of its image, in a folder named after the digest of everything else that the
numbers follow from: network, contract, tiles, variations.
"""

import contextlib
import hashlib
import io
import json
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edge.inference.contract import InputContract
from edge.system.files import write_whole
from edge.system.progress import Progress
from models.adaptation.network.backbone import Backbone
from models.adaptation.network.field_views import field_views
from models.networks.prediction import BATCH
from models.site.audit_record import FieldFeatures
from models.site.fields import SiteField

FORMAT = 2
CACHE_FOLDER = "features"
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class SiteFeatures:
    """Numbers of N fields, in their order.

    Attributes:
        values: float32 (N, views, tiles, D): view 0 is the field as it is, the others stain variations.
        normalized: float32 (N, tiles, D), of the field with its stain normalized.
        painted: float32 (N, D), mean over the tiles of the field with its white cells painted out.
        colours: float64 (N, 6), mean and standard deviation of R, G and B.
    """

    values: Floats
    normalized: Floats
    painted: Floats
    colours: npt.NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.values)

    def of(self, rows: npt.NDArray[Any]) -> "SiteFeatures":
        """Those fields that `rows` (indices or flags) names."""
        return SiteFeatures(self.values[rows], self.normalized[rows], self.painted[rows], self.colours[rows])

    def by_field(self, fields: Sequence[SiteField]) -> FieldFeatures:
        """The mean over a field's tiles, of each: what an audit asks about."""
        means = self.values[:, 0].mean(axis=1)
        return {field.sample.sha256: row for field, row in zip(fields, means, strict=True)}

    def painted_by_field(self, fields: Sequence[SiteField]) -> FieldFeatures:
        """The same with white cells painted out."""
        return {field.sample.sha256: row for field, row in zip(fields, self.painted, strict=True)}


def site_features(
    backbone: Backbone, contract: InputContract, fields: Sequence[SiteField], views: int, cache: Path
) -> SiteFeatures:
    """Features of every field, from `cache` as far as they lie there.

    Args:
        contract: the site's, with its tiles. views: stain variations a field, besides itself.
        cache: folder that holds the files; made when missing.

    Raises:
        ImageFileError: a field cannot be read. FrameError: it is too small for the tiles.
        KeyboardInterrupt: what was calculated is kept.
    """
    folder = cache / _key(backbone, contract, views)
    folder.mkdir(parents=True, exist_ok=True)
    shape = (3 + views, contract.tile_count, backbone.count)
    found = [_cached(folder, field, shape) for field in fields]
    missing = [number for number, each in enumerate(found) if each is None]
    at_once = max(1, BATCH // (shape[0] * shape[1]))
    with Progress("features of fields", len(missing)) as bar:
        for start in range(0, len(missing), at_once):
            batch = missing[start : start + at_once]
            seen = [field_views(fields[number], contract, views) for number in batch]
            tiles = np.stack([each.tiles for each in seen])
            rows = backbone.features(tiles.reshape(-1, *tiles.shape[-3:])).reshape(len(batch), *shape)
            for number, row, each in zip(batch, rows, seen, strict=True):
                found[number] = row, each.colours
                write_whole(_file(folder, fields[number]), _packed(row, each.colours))
            bar.advance(len(batch))
    whole = [each for each in found if each is not None]
    values = np.stack([each[0] for each in whole])
    return SiteFeatures(
        values[:, : 1 + views], values[:, -2], values[:, -1].mean(axis=1), np.stack([each[1] for each in whole])
    )


def _key(backbone: Backbone, contract: InputContract, views: int) -> str:
    plain = replace(contract, labels=("a", "b"), benign=None, decision=None)
    facts = [FORMAT, backbone.sha256, backbone.weights_sha256, plain.to_json(), views]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]


def _file(folder: Path, field: SiteField) -> Path:
    return folder / f"{field.sample.sha256}.npz"


def _packed(values: Floats, colours: npt.NDArray[np.float64]) -> bytes:
    stream = io.BytesIO()
    np.savez(stream, values=values, colours=colours)
    return stream.getvalue()


def _cached(folder: Path, field: SiteField, shape: tuple[int, ...]) -> "tuple[Floats, npt.NDArray[np.float64]] | None":
    """None where there is no such file, or a damaged one: it is then calculated again."""
    with contextlib.suppress(OSError, ValueError, KeyError, zipfile.BadZipFile):
        with np.load(_file(folder, field), allow_pickle=False) as stored:
            values, colours = stored["values"], stored["colours"]
        if values.shape == shape and values.dtype == np.float32 and colours.shape == (6,):
            return values, colours
    return None
