"""Command lines of the documents: those of fenced blocks that call one of the console scripts."""

import re
import shlex
from dataclasses import dataclass

from tests.paths import ROOT

DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
SCRIPT = re.compile(r"^(?:\$ )?(?:\S*/)?(?:python\S* -m )?(convert|models|edge)(?:\.cli)? ")


@dataclass(frozen=True)
class Line:
    """One command line of a document."""

    document: str
    text: str

    def __str__(self) -> str:
        return f"{self.document}: {self.text}"


def fenced(text: str) -> list[str]:
    """Lines of fenced blocks that hold shell commands, continuations joined."""
    blocks = re.findall(r"^ *```(\w*)\n(.*?)^ *```", text, re.MULTILINE | re.DOTALL)
    shell = [block for language, block in blocks if language in ("", "sh", "bash", "console", "shell")]
    return [line.strip() for block in shell for line in block.replace("\\\n", " ").splitlines() if line.strip()]


def command_lines() -> list[Line]:
    found = []
    for path in DOCUMENTS:
        name = path.relative_to(ROOT).as_posix()
        found += [Line(name, text) for text in fenced(path.read_text(encoding="utf-8")) if SCRIPT.match(text)]
    return found


def words_of(text: str) -> tuple[str, list[str]]:
    """(console script, its words); a comment after them is no part of them."""
    match = SCRIPT.match(text)
    assert match is not None
    return match[1], shlex.split(text[match.end() :], comments=True)
