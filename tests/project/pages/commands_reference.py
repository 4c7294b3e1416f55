"""docs/reference/commands.md from the commands' own help: `python -m tests.project.pages.commands_reference --write`.

Without --write it says whether the page is current, and how to make it so.
"""

import contextlib
import io
import sys

import convert.cli
import edge.cli
import models.cli
from edge.commands.command_line import main as run
from tests.paths import ROOT

PAGE = ROOT / "docs" / "reference" / "commands.md"
COMMANDS = {"convert": convert.cli.COMMANDS, "models": models.cli.COMMANDS, "edge": edge.cli.COMMANDS}
HEAD = """# Commands

What `--help` says, put here by `python -m tests.project.pages.commands_reference --write`. An option's value follows
it as a word or after `=`: `--out FOLDER`, `--out=FOLDER`. `leukoscope edge`, `leukoscope models` and `leukoscope
convert` are the same commands under one name, for machines where `convert` is ImageMagick's.

The same everywhere: with `--json` standard output holds JSON and nothing else; notes, progress and errors go to
standard error; an error is one line that begins with `error:`, and `LEUKOSCOPE_DEBUG=1` adds the traceback.

| exit code | meaning |
|---|---|
| 0 | done, and passed |
| 1 | it ran, and the answer is no |
| 2 | the request was wrong |
| 3 | not enough evidence to say |
| 4 | the machine lacks something, or what it has fails (a disk, a stick, memory); the message names it |
| 70 | a defect of `edge`, with the traceback |
| 130 | interrupted with Ctrl-C |
"""


def page() -> str:
    """The whole page."""
    parts = [HEAD]
    for name, commands in COMMANDS.items():
        parts.append(f"## {name}\n")
        parts += [f"### {name} {word}\n\n```text\n{help_text(name, word)}\n```\n" for word in commands]
    return "\n".join(parts)


def help_text(name: str, *words: str) -> str:
    """What `NAME WORDS --help` prints."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        run(name, COMMANDS[name], [*words, "--help"])
    return said.getvalue().strip()


if __name__ == "__main__":
    if "--write" in sys.argv[1:]:
        PAGE.write_text(page(), encoding="utf-8")
    elif not PAGE.is_file() or PAGE.read_text(encoding="utf-8") != page():
        sys.exit(f"{PAGE.name} is not what the commands say: python -m tests.project.pages.commands_reference --write")
