"""A bundle made ready to answer: verified, loaded and proven on its golden inputs, before the first frame."""

import importlib.util
from dataclasses import dataclass
from pathlib import Path

from edge import bundle as bundles
from edge.bundle import Bundle
from edge.classifier import Classifier
from edge.command import note
from edge.errors import BundleError
from edge.interpreters import open_interpreter

DEFAULT_BUNDLE = "mobilenet_v2-int8"
RESEARCH_USE = "research use only: not a medical device, and no verdict is a diagnosis"


@dataclass(frozen=True)
class Served:
    """A bundle and the classifier that runs it."""

    bundle: Bundle
    classifier: Classifier


def serve(
    path: Path | None = None, *, runtime: str | None = None, threads: int = 1, allow_uncertified: bool = False
) -> Served:
    """Load a bundle and replay its golden inputs. What is doubtful about it is said on standard error.

    Args:
        path: the bundle's folder; None is the one that ships.
        runtime: one of `edge.interpreters.RUNTIMES`; None is the first installed.
        allow_uncertified: accept a certificate that does not say "pass".

    Raises:
        BundleError: missing, altered, not certified. GoldenMismatchError: it answers otherwise here.
        InterpreterUnavailable: no interpreter.
    """
    bundle = bundles.load(path or default_bundle(), allow_uncertified=allow_uncertified)
    if bundle.certificate.get("synthetic"):
        note(f"warning: {bundle.name} was judged on drawn fields only; its accuracy is not known")
    if not bundle.certified:
        note(f"warning: the certificate of {bundle.name} says {bundle.certificate['verdict']!r}")
    interpreter = open_interpreter(bundle.model, runtime=runtime, threads=threads)
    classifier = Classifier(bundle.contract, interpreter)
    bundles.require_golden(bundle, interpreter)
    return Served(bundle, classifier)


def default_bundle() -> Path:
    """The bundle that ships beside this package, found without importing anything.

    Raises:
        BundleError: none ships with this installation.
    """
    found = importlib.util.find_spec("models")  # locates a top-level package without running it
    for folder in (found.submodule_search_locations if found else None) or ():
        path = Path(folder) / "bundles" / DEFAULT_BUNDLE
        if path.is_dir():
            return path
    raise BundleError(f"no {DEFAULT_BUNDLE} bundle ships with this installation; name one with --bundle PATH")
