"""The pieces of a self-contained HTML page: shell, style, tables, embedded figures; nothing from outside."""

import base64
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape


@dataclass(frozen=True)
class Markup:
    """HTML that is already safe; every other text is escaped when it is put on the page."""

    html: str


Cell = str | Markup


def page(title: str, body: Iterable[Markup]) -> str:
    """A whole document. Its content policy forbids scripts and anything that is not in the file."""
    content = "\n".join(part.html for part in body)
    policy = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)}</title>
<style>{_CSS}</style>
</head>
<body>
<main>
{content}
</main>
</body>
</html>
"""


def element(tag: str, *content: Cell, css: str = "") -> Markup:
    """`<tag class=css>content</tag>`, texts escaped."""
    attribute = f' class="{escape(css)}"' if css else ""
    return Markup(f"<{tag}{attribute}>{''.join(_html(part) for part in content)}</{tag}>")


def section(heading: str, *content: Cell) -> Markup:
    """A headed part of the page."""
    return element("section", element("h2", heading), *content)


def table(head: Sequence[str], rows: Iterable[Sequence[Cell]], numbers: Iterable[int] = ()) -> Markup:
    """A table; `numbers` are the columns set flush right."""
    right = set(numbers)

    def cells(tag: str, row: Sequence[Cell]) -> Markup:
        return element("tr", *(element(tag, c, css="n" if k in right else "") for k, c in enumerate(row)))

    return element(
        "table",
        element("thead", cells("th", head)),
        element("tbody", *(cells("td", row) for row in rows)),
    )


def facts(rows: Iterable[tuple[str, Cell]]) -> Markup:
    """Names with their values."""
    return element("table", *(element("tr", element("th", k), element("td", v)) for k, v in rows), css="facts")


def code(text: str) -> Markup:
    """A hash or a file name, set so that it can be compared and may break anywhere."""
    return element("code", text)


def image(data: bytes, kind: str, description: str, css: str = "") -> Markup:
    """An embedded picture; `kind` is "svg+xml", "png" or "jpeg", `description` is for who cannot see it."""
    source = f"data:image/{kind};base64,{base64.b64encode(data).decode('ascii')}"
    return Markup(f'<img src="{source}" alt="{escape(description, quote=True)}" class="{escape(css)}">')


def figure(data: bytes, description: str, caption: Cell) -> Markup:
    """An embedded SVG with a caption."""
    return element("figure", image(data, "svg+xml", description), element("figcaption", caption))


def joined(*parts: Cell) -> Markup:
    """Parts one after the other."""
    return Markup("".join(_html(part) for part in parts))


def _html(part: Cell) -> str:
    return part.html if isinstance(part, Markup) else escape(part)


# Verdicts differ by word and sign as well as by colour; the page is legible in black and white.
_CSS = """
:root { --ink: #1c1c1c; --soft: #5a5a5a; --line: #d8d8d8;
  --pass: #00664b; --fail: #a8321a; --unsure: #7a5200; }
* { box-sizing: border-box; }
body { margin: 0; color: var(--ink); background: #fff;
  font: 15px/1.5 -apple-system, "Segoe UI", Roboto, "Liberation Sans", "DejaVu Sans", Arial, sans-serif; }
main { max-width: 960px; margin: 0 auto; padding: 28px 24px 48px; }
h1 { font-size: 24px; line-height: 1.25; margin: 0 0 2px; }
h2 { font-size: 17px; margin: 34px 0 10px; padding-bottom: 4px; border-bottom: 1px solid var(--line); }
h3 { font-size: 15px; margin: 18px 0 6px; }
p { margin: 6px 0; max-width: 75ch; }
p.note { max-width: 110ch; }
.sub, figcaption, .note { color: var(--soft); font-size: 13px; }
.notice { margin: 14px 0; padding: 6px 12px; border: 1px solid var(--ink);
  font-weight: 600; font-size: 14px; }
.banner { margin: 14px 0; padding: 14px 18px; border-left: 8px solid; background: #f6f6f6; }
.banner .word { font-size: 26px; font-weight: 700; letter-spacing: .02em; }
.banner ul { margin: 6px 0 0; padding-left: 20px; }
.banner.pass { border-color: var(--pass); } .banner.pass .word, .o-pass { color: var(--pass); }
.banner.fail { border-color: var(--fail); } .banner.fail .word, .o-fail { color: var(--fail); }
.banner.inconclusive { border-color: var(--unsure); }
.banner.inconclusive .word, .o-inconclusive { color: var(--unsure); }
.o-pass, .o-fail, .o-inconclusive { font-weight: 600; white-space: nowrap; }
.warning { margin: 12px 0; padding: 8px 14px; border: 2px dashed var(--unsure); }
.cards { display: grid; grid-template-columns: repeat(4, 1fr); gap: 10px; margin: 14px 0; }
.card { border: 1px solid var(--line); padding: 9px 12px; }
.card .value { display: block; font-size: 19px; font-weight: 650; font-variant-numeric: tabular-nums; }
.card .label { display: block; color: var(--soft); font-size: 12.5px; line-height: 1.35; }
table { border-collapse: collapse; width: 100%; font-size: 13.5px; font-variant-numeric: tabular-nums; }
th, td { text-align: left; vertical-align: top; padding: 4px 14px 4px 0;
  border-bottom: 1px solid var(--line); }
thead th { border-bottom: 1.5px solid var(--ink); font-weight: 600; }
.n { text-align: right; white-space: nowrap; }
.facts th { width: 240px; font-weight: 500; color: var(--soft); }
code { font: 12px/1.45 ui-monospace, "Liberation Mono", "DejaVu Sans Mono", monospace;
  overflow-wrap: anywhere; }
figure { margin: 10px 0; }
figure img { max-width: 100%; height: auto; display: block; }
figure img.half { max-width: 480px; }
.pair { display: grid; grid-template-columns: 1fr 1fr; gap: 22px; align-items: start; }
.thumbs { display: grid; grid-template-columns: repeat(6, 1fr); gap: 10px; }
.thumbs img { width: 100%; display: block; image-rendering: auto; }
.thumbs div { font-size: 11px; line-height: 1.35; overflow-wrap: anywhere; }
footer { margin-top: 40px; padding-top: 8px; border-top: 1px solid var(--line);
  color: var(--soft); font-size: 12.5px; }
@media (max-width: 700px) { .cards { grid-template-columns: 1fr 1fr; } .pair { grid-template-columns: 1fr; } }
@media print {
  @page { size: A4; margin: 16mm 14mm; }
  body { font-size: 10.5pt; } main { max-width: none; padding: 0; } table { font-size: 9.5pt; }
  .banner, .card, figure, tr, .thumbs div { break-inside: avoid; }
  h2, h3 { break-after: avoid; } thead { display: table-header-group; }
  .banner, .o-pass, .o-fail { -webkit-print-color-adjust: exact; print-color-adjust: exact; }
}
"""
