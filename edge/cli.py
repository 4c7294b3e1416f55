"""The words of the `edge` command."""

import sys

from edge.classify import ClassifyRequest, classify_request
from edge.command import main as run

__all__ = ["COMMANDS", "ClassifyRequest", "main"]


def classify(
    *paths: str,
    bundle: str = "",
    threads: str = "1",
    runtime: str = "",
    json: bool = False,
    allow_uncertified: bool = False,
) -> ClassifyRequest:
    """Say what a certified model makes of images. Research use only: no verdict here is a diagnosis.

    One line an image, in the order given, folders searched through and sorted by name. An image that cannot
    be read gets a line with the reason; the others are classified all the same, and the exit code is 1.

    Args:
        paths: images, or folders of images.
        bundle: folder of a model with its certificate; the shipped mobilenet_v2-int8 when left out.
        threads: for one inference.
        runtime: litert, tflite_runtime or tf_lite; the first that is installed when left out.
        json: print one JSON object an image: path, label, reason, probabilities, latency_ms.
        allow_uncertified: use a bundle whose certificate does not say "pass".
    """
    return classify_request(
        paths, bundle=bundle, threads=threads, runtime=runtime, json=json, allow_uncertified=allow_uncertified
    )


COMMANDS = {"classify": classify}


def main() -> None:
    """Console script `edge`."""
    sys.exit(run("edge", COMMANDS))


if __name__ == "__main__":
    main()
