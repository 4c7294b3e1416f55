"""A bundle made ready to answer: verified, loaded and proven on its golden inputs, before the first frame."""

from dataclasses import dataclass
from pathlib import Path

from edge import bundle as bundles
from edge.bundle import Bundle
from edge.classifier import Classifier
from edge.command import note
from edge.errors import BundleError
from edge.golden import Replay
from edge.interpreters import open_interpreter
from edge.trust.machine import machine_keys
from edge.trust.policy import shipped_bundles
from edge.trust.trusted import TrustedKeys
from edge.update.slots import Slots, default_slots

DEFAULT_BUNDLE = "mobilenet_v2-int8"
RESEARCH_USE = "research use only: not a medical device, and no verdict is a diagnosis"


@dataclass(frozen=True)
class Served:
    """A bundle and the classifier that runs it."""

    bundle: Bundle
    classifier: Classifier
    replay: Replay | None = None  # of the golden inputs; None where that was left to the caller


def serve(
    path: Path | None = None,
    *,
    runtime: str | None = None,
    threads: int = 1,
    trust: TrustedKeys | None = None,
    allow_uncertified: bool = False,
    allow_unsigned: bool = False,
    any_name: bool = False,
    prove: bool = True,
) -> Served:
    """Load a bundle and replay its golden inputs. What is doubtful about it is said on standard error.

    Args:
        path: the bundle's folder; None is `bundle_to_run`.
        runtime: one of `edge.interpreters.RUNTIMES`; None is the first installed.
        trust, allow_uncertified, allow_unsigned, any_name: as `edge.bundle.load`.
        prove: False leaves the golden replay to the caller, who must not serve before it.

    Raises:
        BundleError: missing, altered, not signed by a trusted key, not certified. GoldenMismatchError: it answers
            otherwise here.
        TrustError, TrustUnavailable, SettingsError: the trusted keys cannot be read.
        InterpreterUnavailable: no interpreter.
    """
    trust = machine_keys() if trust is None else trust
    for warning in trust.warnings:
        note(f"warning: {warning}")
    bundle = bundles.load(
        path or bundle_to_run(),
        trust=trust,
        allow_uncertified=allow_uncertified,
        allow_unsigned=allow_unsigned,
        any_name=any_name,
    )
    if bundle.signed is None and allow_unsigned:
        note(f"warning: {bundle.name} is not signed by a key that this machine trusts; --allow-unsigned lets it run")
    if bundle.certificate.get("synthetic"):
        note(f"warning: {bundle.name} was judged on drawn fields only; its accuracy is not known")
    if not bundle.certified:
        note(f"warning: the certificate of {bundle.name} says {bundle.certificate['verdict']!r}")
    interpreter = open_interpreter(bundle.model, runtime=runtime, threads=threads)
    classifier = Classifier(bundle.contract, interpreter)
    return Served(bundle, classifier, bundles.require_golden(bundle, interpreter) if prove else None)


def bundle_to_run() -> Path:
    """The bundle that runs where none is named: that of the slot that serves, else the shipped one.

    Raises:
        UpdateError: something was installed, and no slot serves; the shipped one does not stand in for it.
        BundleError: nothing was installed, and none ships with this installation.
    """
    return Slots(default_slots()).serving() or default_bundle()


def default_bundle() -> Path:
    """The bundle that ships beside this package.

    Raises:
        BundleError: none ships with this installation.
    """
    shipped = shipped_bundles()
    if shipped is None or not (shipped / DEFAULT_BUNDLE).is_dir():
        raise BundleError(f"no {DEFAULT_BUNDLE} bundle ships with this installation; name one with --bundle PATH")
    return shipped / DEFAULT_BUNDLE
