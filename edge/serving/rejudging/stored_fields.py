"""Stored fields: verdicts of records and of exported slides, with the images that were kept of them."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
from msgspec import UNSET

from edge.errors import ImageFileError, StoreError, UsageError
from edge.inference.contract import Pixels
from edge.inference.images import decode_image
from edge.inference.licence import held_back
from edge.record.entries import RunBody, VerdictBody, read_body
from edge.record.exports.export import JSON_LINES
from edge.record.images import Place
from edge.record.schema import DATABASE
from edge.record.store import Store


@dataclass(frozen=True)
class Told:
    """What is said of a field: a class, or the reason why there is none.

    >>> str(Told("Pre", None)), str(Told(None, "out_of_focus"))
    ('Pre', 'no answer: out_of_focus')
    """

    label: str | None
    reason: str | None

    def __str__(self) -> str:
        return self.label if self.label is not None else f"no answer: {self.reason}"


@dataclass(frozen=True)
class StoredField:
    """A verdict and its image.

    Attributes:
        key: digest of its entry, which names it in the world. slide, field: its place.
        was: what the network and the gates said then, whatever a licence held back. seen: not counted, since it shows
            again what was.
        image: path, None where none was kept. sha256: that the record has of it.
    """

    key: str
    slide: str
    field: int
    was: Told
    seen: bool
    image: Path | None
    sha256: str

    def pixels(self) -> Pixels:
        """uint8 (H, W, 3) RGB.

        Raises:
            ImageFileError: missing, not the bytes that were recorded, or no image.
        """
        assert self.image is not None
        try:
            data = self.image.read_bytes()
        except OSError as error:
            raise ImageFileError(f"{self.image}: {error.strerror}") from error
        if hashlib.sha256(data).hexdigest() != self.sha256:
            raise ImageFileError(f"{self.image}: not the image that was recorded")
        return decode_image(data, str(self.image))


class Source:
    """A record or an exported slide.

    Args:
        path: its folder.

    Raises:
        UsageError: neither of them.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._record = (path / DATABASE).is_file()
        if not self._record and not (path / JSON_LINES).is_file():
            raise UsageError(f"SOURCE must be a record or a folder that `edge export` wrote; got {path}")

    def count(self) -> int:
        """Entries, for progress."""
        if not self._record:
            with (self.path / JSON_LINES).open("rb") as lines:
                return sum(1 for _ in lines)
        with Store.open(self.path, read_only=True) as store:
            return store.head().id

    def fields(self) -> Iterator[tuple[int, StoredField | None]]:
        """(entries so far, a stored field or None for another entry), in the order of the record, as far as it goes
        when this begins.

        Raises:
            StoreError: it cannot be read.
        """
        run: RunBody | None = None
        for position, (text, digest) in enumerate(self._entries(), 1):
            body = read_body(text)
            if isinstance(body, RunBody):
                run = body
            elif isinstance(body, VerdictBody) and (run is None or run.run != body.run):
                run = self._carried(body.run)
            yield position, self._field(body, digest, run) if isinstance(body, VerdictBody) else None

    def _entries(self) -> Iterator[tuple[str, str]]:
        if self._record:
            with Store.open(self.path, read_only=True) as store:
                for row in store.entries(through=store.head().id):
                    yield row.body, row.digest
            return
        with (self.path / JSON_LINES).open("rb") as lines:
            for number, line in enumerate(lines, 1):
                try:
                    entry = msgspec.json.decode(line, type=_Line)
                except (msgspec.DecodeError, UnicodeDecodeError) as error:
                    raise StoreError(f"{self.path / JSON_LINES}, line {number}: {error}") from error
                yield bytes(entry.entry).decode("utf-8", "surrogateescape"), entry.digest

    def _carried(self, run: int) -> RunBody | None:
        """What began a run whose first entries retention removed; None in an export, which does not hold it."""
        if not self._record:
            return None
        with Store.open(self.path, read_only=True) as store:
            text = store.run_body(run)
        body = None if text is None else read_body(text)
        return body if isinstance(body, RunBody) else None

    def _field(self, body: VerdictBody, digest: str, run: RunBody | None) -> StoredField:
        was = Told(body.label, body.reason)
        if held_back(body.label, body.reason) and body.probabilities and run is not None:
            was = Told(run.labels[max(range(len(run.labels)), key=body.probabilities.__getitem__)], None)
        path = None
        if body.image is not None:
            place = body.image.path if self._record else Place.of(body.image.path).exported
            path = self.path / place
        sha256 = "" if body.image is None else body.image.sha256
        return StoredField(digest, body.slide, body.field, was, body.seen is not UNSET, path, sha256)


class _Line(msgspec.Struct):
    entry: msgspec.Raw
    digest: str


def all_fields(sources: Sequence[Source]) -> Iterator[tuple[int, StoredField | None]]:
    """Those of all sources, one after the other; entries are counted on."""
    before = 0
    for source in sources:
        position = 0
        for position, field in source.fields():
            yield before + position, field
        before += position
