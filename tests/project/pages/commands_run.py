"""Which test runs which command line of the documents: a line counts as run where a test ran that command with the same
options, whatever their values.

`LEUKOSCOPE_COMMAND_LOG=DIR pytest -m "not nightly"` logs what tests run; then
`python -m tests.project.pages.commands_run DIR` writes the table that the tests of this package hold the documents to.
"""

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge.system.files import write_whole
from tests.paths import ROOT
from tests.project.pages.command_lines import Line, command_lines, words_of

TABLE = ROOT / "tests" / "project" / "pages" / "commands_run.json"
RAN = (0, 1, 3)  # done, the answer is no, not enough evidence
WHERE = {"overwrite-shipped"}  # says where a record goes; toys ship nothing, and no test writes over what ships


@dataclass(frozen=True)
class Shape:
    """A command line without values: what it is run with.

    >>> Shape.of("edge", ["run", "--frames", "200", "--json"])
    Shape(script='edge', command='run', options=frozenset({'frames', 'json'}))
    """

    script: str
    command: str
    options: frozenset[str]

    @classmethod
    def of(cls, script: str, words: list[str]) -> "Shape":
        options = [word.removeprefix("--").partition("=")[0].replace("_", "-") for word in words if word[:2] == "--"]
        return cls(script, words[0] if words else "", frozenset(options) - WHERE)

    def covers(self, other: "Shape") -> bool:
        """A run with more options was a run of the line as well."""
        return (self.script, self.command) == (other.script, other.command) and other.options <= self.options


def logged(folder: Path) -> Iterator[dict[str, Any]]:
    """What tests ran, the fewest options first: the run that is most like a line stands for it."""
    found = [
        json.loads(line)
        for path in sorted(folder.glob("*.jsonl"))
        for line in path.read_text(encoding="utf-8").splitlines()
    ]
    ran = [each for each in found if each["test"] and (each["code"] is None or each["code"] in RAN)]
    return iter(sorted(ran, key=lambda each: (len(each["words"]), each["test"])))


def table(folder: Path) -> dict[str, str]:
    """The test that runs each line, "" where none does."""
    runs = [(Shape.of(each["script"], each["words"]), each["test"]) for each in logged(folder)]
    return {
        shown(line): next((test for shape, test in runs if shape.covers(shape_of(line))), "")
        for line in command_lines()
    }


def shape_of(line: Line) -> Shape:
    """Of a line of a document."""
    return Shape.of(*words_of(line.text))


def shown(line: Line) -> str:
    """The line without its document: as it is run."""
    script, words = words_of(line.text)
    return " ".join([script, *words])


if __name__ == "__main__":
    write_whole(
        TABLE,
        (json.dumps(dict(sorted(table(Path(sys.argv[1])).items())), indent=1, ensure_ascii=False) + "\n").encode(),
    )
