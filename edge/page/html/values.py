"""Values that `macros.html` lays out: embedded pictures and tables of text."""

import base64
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

Row = Sequence[str]


@dataclass(frozen=True)
class Picture:
    """A picture that the page embeds.

    Attributes:
        data: the encoded file. kind: its format, "svg+xml", "png" or "jpeg".
        description: for who cannot see it.
    """

    data: bytes
    kind: str
    description: str

    @property
    def source(self) -> str:
        """As a `data:` URI.

        >>> Picture(b"<svg/>", "svg+xml", "nothing").source
        'data:image/svg+xml;base64,PHN2Zy8+'
        """
        return f"data:image/{self.kind};base64,{base64.b64encode(self.data).decode('ascii')}"


@dataclass(frozen=True)
class Table:
    """A table of text.

    Attributes:
        head: of the columns. rows: as many cells each.
        numbers: columns set flush right. code: columns of hashes or names, which may break anywhere.
        strong: rows that stand out.

    Raises:
        ValueError: a row of another length than the head.

    >>> Table(("class", "images"), [("Benign", "86")], numbers={1}).rows
    (('Benign', '86'),)
    """

    head: Row
    rows: Iterable[Row]
    numbers: Collection[int] = ()
    code: Collection[int] = ()
    strong: Collection[int] = ()

    def __post_init__(self) -> None:
        rows = tuple(tuple(row) for row in self.rows)
        for row in rows:
            if len(row) != len(self.head):
                raise ValueError(f"rows must have {len(self.head)} cells, as head has; got {len(row)}: {row}")
        object.__setattr__(self, "rows", rows)
