"""What a terminal showed, as a picture for the documents.

    python -m tests.project.pages.terminal_picture TEXT.txt PICTURE.png

The text is what a command really printed, kept beside the picture; lines of three dots stand for what was left out.
"""

import sys
from pathlib import Path

SIZE, MARGIN, LEADING = 15, 18, 1.35
GROUND, INK, FAINT, GOOD = (24, 26, 31), (222, 222, 216), (140, 146, 155), (126, 200, 140)
WIDTH = 118  # characters; longer lines are broken


def lines_of(text: str, width: int = WIDTH) -> list[str]:
    """The lines as a terminal of this width shows them."""
    shown: list[str] = []
    for line in text.rstrip("\n").split("\n"):
        pieces = [line[at : at + width] for at in range(0, len(line), width)]
        shown += pieces or [""]
    return shown


def colour(line: str) -> tuple[int, int, int]:
    """Commands bright, what was left out faint, the end of a command green."""
    if line.startswith(("done:", "nothing changed", "  stored:")):
        return GOOD
    return FAINT if line == "..." or line.startswith("#") else INK


def draw(text: str, to: Path, width: int = WIDTH) -> None:
    """Write the picture; needs pillow, and the font that comes with matplotlib."""
    from matplotlib import font_manager
    from PIL import Image, ImageDraw, ImageFont

    font = ImageFont.truetype(font_manager.findfont("DejaVu Sans Mono"), SIZE)
    shown = lines_of(text, width)
    step, cell = round(SIZE * LEADING), font.getlength("m")
    size = (round(2 * MARGIN + cell * max(map(len, shown))), 2 * MARGIN + step * len(shown))
    picture = Image.new("RGB", size, GROUND)
    pen = ImageDraw.Draw(picture)
    for number, line in enumerate(shown):
        pen.text((MARGIN, MARGIN + number * step), line, font=font, fill=colour(line))
    picture.quantize(32).save(to, optimize=True)


def main(words: list[str]) -> int:
    """TEXT PICTURE [WIDTH]."""
    if len(words) not in (2, 3):
        print(
            "error: usage: python -m tests.project.pages.terminal_picture TEXT.txt PICTURE.png [WIDTH]", file=sys.stderr
        )
        return 2
    draw(Path(words[0]).read_text(encoding="utf-8"), Path(words[1]), int((words[2:] or [WIDTH])[0]))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
