"""The table of the page's routes and their roles in docs/reference/page-security.md.

    python -m tests.project.pages.page_routes --write

Without --write it says whether the table is current.
"""

import sys
from pathlib import Path

from fastapi import FastAPI

from tests.paths import ROOT

PAGE = ROOT / "docs/reference/page-security.md"
BEGIN, END = "<!-- routes:begin -->", "<!-- routes:end -->"


def whole_app() -> FastAPI:
    """The app that `edge page` serves, over nothing."""
    from edge.page.app import create_app
    from edge.page.http.config import PageConfig

    return create_app(PageConfig(Path("/nowhere/record"), Path("/nowhere/socket"), demo=True))


def table(app: FastAPI) -> str:
    """Route and role, by path."""
    from edge.page.access.guard import roles_of_routes

    rows = [f"| `{method} {path}` | {role or '**none**'} |" for method, path, role in roles_of_routes(app)]
    return "\n".join(["| route | role |", "|---|---|", *rows])


def with_table(text: str, app: FastAPI) -> str:
    """The document with the table between its markers."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    assert begin and end, f"{PAGE.name} holds no {BEGIN} and {END}"
    return f"{before}{BEGIN}\n{table(app)}\n{END}{after}"


if __name__ == "__main__":
    written = PAGE.read_text(encoding="utf-8")
    if "--write" in sys.argv[1:]:
        PAGE.write_text(with_table(written, whole_app()), encoding="utf-8")
    elif written != with_table(written, whole_app()):
        sys.exit(f"the routes in {PAGE.name} are not the app's: python -m tests.project.pages.page_routes --write")
