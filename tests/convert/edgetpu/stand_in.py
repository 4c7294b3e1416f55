"""A stand-in for Coral's compiler that makes of one model what the real one is known to say and to write.

    python -m tests.convert.edgetpu.stand_in FOLDER models/bundles/mobilenet_v2-int8/model.tflite

prints the path of the program: for `convert compile --edgetpu --compiler`, where the real one is not at hand.
"""

import sys
from pathlib import Path

from tests.convert.edgetpu.compiled import compiled
from tests.convert.edgetpu.test_compiler import StandIn, success


def stand_in(folder: Path, model: bytes) -> Path:
    """The program, in a new folder."""
    folder.mkdir(parents=True)
    return StandIn(folder).does(said=success(model), output=compiled(model))


if __name__ == "__main__":
    print(stand_in(Path(sys.argv[1]), Path(sys.argv[2]).read_bytes()))
