"""Open many damaged copies of a model in this process: `python -m tests.edge.inference.damage RUNTIME MODEL COUNT`.

Prints how many were refused and how many still opened. A crash of the runtime ends the process, which is the
test.
"""

import random
import sys
from pathlib import Path

from edge.errors import ModelFileError
from edge.inference.runtime.interpreters import open_interpreter

WORDS = (b"\0\0\0\0", b"\xff\xff\xff\xff", b"\xff\xff\xff\x7f", b"\1\0\0\0", b"\0\0\1\0")


def damaged(data: bytes, rng: random.Random) -> bytes:
    """A copy with bytes altered, a word replaced, a stretch zeroed, or its end cut off."""
    copy = bytearray(data)
    way = rng.choice(("bytes", "word", "zeros", "cut"))
    at = rng.randrange(8, len(copy) - 4)
    if way == "bytes":
        for _ in range(rng.randint(1, 8)):
            copy[rng.randrange(len(copy))] = rng.randrange(256)
    elif way == "word":
        copy[at & ~3 : (at & ~3) + 4] = rng.choice(WORDS)
    elif way == "zeros":
        stretch = copy[at : at + rng.randint(1, 200)]
        copy[at : at + len(stretch)] = bytes(len(stretch))
    else:
        del copy[at:]
    return bytes(copy)


def main() -> None:
    """Seeded, so that a crash can be found again."""
    runtime, model, count = sys.argv[1], Path(sys.argv[2]).read_bytes(), int(sys.argv[3])
    rng, refused = random.Random(11), 0
    for _ in range(count):
        try:
            open_interpreter(damaged(model, rng), runtime=runtime)
        except ModelFileError:
            refused += 1
    print(refused, count - refused)


if __name__ == "__main__":
    main()
