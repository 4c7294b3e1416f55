"""The tables of docs/explanation/slides.md: what a number of slides can show.

    python -m tests.project.pages.slide_bounds --write

Without --write it says whether the tables are current.
"""

import sys
from collections.abc import Callable, Mapping
from itertools import count
from math import comb

from models.statistics.formatting import percent
from models.statistics.intervals import exact_upper
from tests.paths import ROOT

PAGE = ROOT / "docs" / "explanation" / "slides.md"
BOUNDS = (0.10, 0.05, 0.02, 0.01)
MISSED = (0, 1, 2, 3)
SLIDES = (3, 5, 10, 12, 20, 30, 60, 100, 300)
A_CLASS = (2, 3, 4, 5, 6, 8, 10)


def slides_needed(missed: int, bound: float) -> int:
    """Fewest slides of which `missed` missed bound the miss rate by `bound`, exactly, with 95 % confidence."""
    return next(n for n in count(missed + 1) if exact_upper(missed, n) <= bound)


def needed() -> str:
    """Slides needed by missed slides and bound."""
    head = "| missed | " + " | ".join(f"at most {percent(bound, 0)}" for bound in BOUNDS) + " |"
    rows = [f"| {m} | " + " | ".join(str(slides_needed(m, bound)) for bound in BOUNDS) + " |" for m in MISSED]
    return "\n".join([head, "|---" * (1 + len(BOUNDS)) + "|", *rows])


def shown() -> str:
    """The bound that so many slides without an error give."""
    rows = [
        f"| {n} | {percent(exact_upper(0, n), 1)} | {percent(exact_upper(1, n), 1) if n > 1 else '-'} |" for n in SLIDES
    ]
    return "\n".join(["| slides | none missed | one missed |", "|---|---|---|", *rows])


def separable() -> str:
    """The smallest p that so many slides a class can give, if a giveaway names all of them rightly."""
    rows = [f"| {n} | 2 of {comb(2 * n, n)} | {2 / comb(2 * n, n):.2g} |" for n in A_CLASS]
    return "\n".join(["| slides a class | orders that do as well | smallest p |", "|---|---|---|", *rows])


TABLES: Mapping[str, Callable[[], str]] = {"needed": needed, "shown": shown, "separable": separable}


def with_tables(text: str) -> str:
    """The page with its tables between their markers."""
    for name, table in TABLES.items():
        before, begin, rest = text.partition(f"<!-- {name}:begin -->\n")
        _, end, after = rest.partition(f"<!-- {name}:end -->")
        assert begin and end, f"{PAGE.name} holds no markers of {name}"
        text = f"{before}{begin}{table()}\n{end}{after}"
    return text


if __name__ == "__main__":
    written = PAGE.read_text(encoding="utf-8")
    if "--write" in sys.argv[1:]:
        PAGE.write_text(with_tables(written), encoding="utf-8")
    elif written != with_tables(written):
        sys.exit("the tables of slides.md are not current: python -m tests.project.pages.slide_bounds --write")
