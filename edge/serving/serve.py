"""A bundle made ready to answer: verified, loaded and proven on its golden inputs, before the first frame."""

import dataclasses
import logging
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

from msgspec.structs import replace

from edge.bundle import bundle as bundles
from edge.bundle.bundle import Bundle
from edge.bundle.golden import Replay
from edge.bundle.policy import shipped_bundles
from edge.bundle.provenance import BY_LAXER_POLICY, ON_SYNTHETIC, UNGATED, Provenance
from edge.bundle.trusted import TrustedKeys
from edge.errors import BundleError
from edge.inference.classifier import Classifier
from edge.inference.gates.base import Gates
from edge.inference.licence import Licence
from edge.inference.runtime.interpreters import Interpreter, open_interpreter
from edge.serving.licensing import ANYWHERE, GATES_OFF, expired, licence_of, under_setup
from edge.serving.update.slots import Slots, default_slots
from edge.settings.model import ModelSettings
from edge.settings.site import SiteSettings
from edge.settings.trusted_keys import machine_keys

_log = logging.getLogger(__name__)

DEFAULT_BUNDLE = "mobilenet_v2-int8"
RESEARCH_USE = "research use only: not a medical device, and no verdict is a diagnosis"


@dataclass(frozen=True)
class Served:
    """A bundle, the classifier that runs it, and the gates that are asked before.

    Attributes:
        gates: the bundle's but for those that the profile turns off; none where it runs ungated.
        replay: of the golden inputs; None where that was left to the caller.
        instead: why the CPU does the work of the Edge TPU.
        gates_off: names of the gates that the bundle has and the profile turns off. ungated: no gate is asked.
        licence: what it may say here.
    """

    bundle: Bundle
    classifier: Classifier
    gates: Gates
    replay: Replay | None = None
    instead: str = ""
    gates_off: tuple[str, ...] = ()
    ungated: bool = False
    licence: Licence = field(default_factory=Licence)

    @property
    def provenance(self) -> Provenance:
        """The bundle's, as records of what is served say it."""
        provenance = replace(self.bundle.provenance, acceptance=self.licence.acceptance)
        return replace(provenance, ungated=True) if self.ungated else provenance

    def under(self, camera_setup: str) -> "Served":
        """The same for fields that are taken under this set-up of the camera (its digest; "" for none)."""
        return self._licensed(under_setup(self.licence, self.bundle, camera_setup))

    def changed(self, what: str) -> "Served":
        """The same at an instrument that changed since the bundle was accepted: stable name, "" for nothing."""
        return self._licensed(expired(self.licence, self.bundle, what)) if what else self

    def _licensed(self, licence: Licence) -> "Served":
        if licence.expired and licence != self.licence:
            _log.warning(
                f"{licence.acceptance}: benign is not answered until the site accepts {self.bundle.name} again"
            )
        return dataclasses.replace(self, licence=licence)


def serve(
    model: ModelSettings | None = None,
    *,
    trust: TrustedKeys | None = None,
    allow_uncertified: bool = False,
    allow_unsigned: bool = False,
    any_name: bool = False,
    gates_off: Collection[str] = (),
    site: SiteSettings = ANYWHERE,
    prove: bool = True,
) -> Served:
    """Load a bundle and replay its golden inputs. What is doubtful about it is said on standard error.

    Args:
        model: the bundle, and what runs it; its `bundle` None is `bundle_to_run`; its `ungated` asks no gate.
        trust, allow_uncertified, allow_unsigned, any_name: as `edge.bundle.bundle.load`.
        gates_off: names of gates that are not asked.
        site: what the licence goes by, as in `edge.serving.licensing.licence_of`.
        prove: False leaves the golden replay to the caller, who must not serve before it.

    Raises:
        BundleError: missing, altered, not signed by a trusted key, not certified, without gates and not `ungated`, not
            accepted at the site.
        GoldenMismatchError: it answers otherwise here.
        TrustError, TrustUnavailable, SettingsError: the trusted keys cannot be read.
        InterpreterUnavailable: no interpreter. EdgeTpuUnavailable: no such Edge TPU, or not usable.
    """
    model = model or ModelSettings()
    trust = machine_keys() if trust is None else trust
    for warning in trust.warnings:
        _log.warning(warning)
    bundle = bundles.load(
        model.bundle or bundle_to_run(),
        trust=trust,
        allow_uncertified=allow_uncertified,
        allow_unsigned=allow_unsigned,
        any_name=any_name,
    )
    if bundle.signed is None and allow_unsigned:
        _log.warning(f"{bundle.name} is not signed by a key that this machine trusts; --allow-unsigned lets it run")
    if bundle.synthetic:
        _log.warning(f"{bundle.name} was {ON_SYNTHETIC}; its accuracy is not known")
    if bundle.lax_policy:
        _log.warning(f"{bundle.name} was {BY_LAXER_POLICY}: {bundle.lax_policy}")
    if not bundle.certified:
        _log.warning(f"the certificate of {bundle.name} says {bundle.certificate['verdict']!r}")
    licence = licence_of(bundle, site)
    gates, off = gates_of(bundle, ungated=model.ungated, off=gates_off)
    interpreter, instead = _interpreter(bundle, model)
    classifier = Classifier(bundle.contract, interpreter)
    replay = bundles.require_golden(bundle, interpreter) if prove else None
    served = Served(bundle, classifier, gates, replay, instead, off, model.ungated, licence)
    return served.changed(GATES_OFF if bundle.gates is not None and (off or model.ungated) else "")


def gates_of(bundle: Bundle, *, ungated: bool = False, off: Collection[str] = ()) -> tuple[Gates, tuple[str, ...]]:
    """The gates of a bundle, and the names of those that `off` takes away; what is doubtful is said.

    Raises:
        BundleError: it has none, and `ungated` does not say that this is right.
    """
    if ungated:
        _log.warning(f"{bundle.name} runs {UNGATED}")
        return Gates(()), ()
    if bundle.gates is None:
        raise BundleError(
            f"{bundle.path}: no gates.json says when this model must not be asked: `convert gates {bundle.path} "
            "--data DIR` fits one to its images; --ungated judges every frame"
        )
    gates = bundle.gates.gates()
    taken = tuple(name for name in gates.names if name in off)
    for name in taken:
        _log.warning(f"the profile turns the gate {name} off")
    return gates.without(taken), taken


def _interpreter(bundle: Bundle, model: ModelSettings) -> tuple[Interpreter, str]:
    """The interpreter, and why it is the CPU's where an Edge TPU is wanted."""
    if model.edgetpu is None:
        return open_interpreter(bundle.model, runtime=model.runtime, threads=model.threads), ""
    from edge.serving.interpreter import open_on_edgetpu

    return open_on_edgetpu(bundle, model)


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
