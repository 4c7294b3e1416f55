"""The `leukoscope` command: `edge`, `models` and `convert` under one name, since ImageMagick has a `convert` too."""

import importlib
import json
import sys

from edge.commands.command_line import fail, nearest
from edge.commands.terminal.version import version_record, version_text
from edge.errors import DONE, MACHINE_LACKS, WRONG_REQUEST

FLOORS = {
    "edge": "judge a microscope's frames on the device: run, record, self-test, update",
    "models": "train and evaluate the networks, and decide when they may answer",
    "convert": "turn a Keras classifier into a certified int8 bundle, sign it and check it",
}


def main() -> None:
    """Console script `leukoscope`: hands the remaining words to `edge`, `models` or `convert`; lists them alone."""
    word, *words = sys.argv[1:] or ["--help"]
    if word == "--version":
        record = version_record("leukoscope")
        print(json.dumps(record) if words == ["--json"] else version_text(record))
        sys.exit(DONE)
    if word in ("--help", "-h"):
        print(_help())
        sys.exit(DONE)
    if word not in FLOORS:
        sys.exit(
            fail(f"leukoscope has no command {word}{nearest(word, FLOORS)} (see `leukoscope --help`)", WRONG_REQUEST)
        )
    try:
        floor = importlib.import_module(f"{word}.cli")
    except ModuleNotFoundError as error:
        extra = "device" if word == "edge" else word
        cure = f"pip install '.[{extra}]' in a clone of Leukoscope"
        sys.exit(fail(f"leukoscope {word} needs {error.name}, which is not installed: {cure}", MACHINE_LACKS))
    sys.argv = [word, *words]
    floor.main()


def _help() -> str:
    rows = (f"    {floor:<10}{summary}" for floor, summary in FLOORS.items())
    return "\n".join(
        [
            "leukoscope COMMAND ...",
            "",
            *rows,
            "",
            "See `leukoscope COMMAND --help`. `leukoscope --version` says which release this is.",
        ]
    )


if __name__ == "__main__":
    main()
