"""The `edge collect` command."""

import logging
import signal
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from edge.commands.command_line import Outcome
from edge.errors import DONE, NOT_ENOUGH_EVIDENCE, UsageError
from edge.system.option_values import optional_path, whole_number

if TYPE_CHECKING:
    from collections.abc import Iterable

    from edge.cameras.base import Camera
    from edge.commissioning.reference.collector import Collector, Plan
    from edge.commissioning.reference.quality import FieldQuality
    from edge.commissioning.reference.tally import Tally
    from edge.record.entries import ReferenceBody
    from edge.record.reader import Row
    from edge.settings.profile import Settings

_log = logging.getLogger(__name__)
MOST_FIELDS = 10_000


@dataclass(frozen=True)
class CollectRequest:
    """A slide to collect fields of. `bundle` None judges them by relative measures.

    >>> collect("S-0412", "healthy").plan.fields
    20
    """

    settings: "Settings"
    plan: "Plan"
    bundle: Path | None
    json: bool
    allow_unsigned: bool = False

    def execute(self) -> Outcome:
        """Collect until the slide has its fields; a line a stored field, or with `json` an object.

        Returns:
            Code 0 when the slide has them, 3 when it has fewer: stopped, no more frames, nothing new for a while.

        Raises:
            UsageError: the slide has fields of another class. BundleError: no such bundle, or one without gates.
            CameraError: no camera. StoreFull: no room; what was stored is safe. StoreBusy: a collection goes on.
        """
        from edge.cameras.setup.set_up_camera import open_set_up
        from edge.commissioning.reference.collector import Collector, summary
        from edge.commissioning.reference.record import collected, reference_folder
        from edge.commissioning.reference.tally import Tally
        from edge.record.store import Store
        from edge.serving.serve import RESEARCH_USE
        from edge.system.clock import Clock
        from edge.system.interrupts import stop_on

        _log.info(RESEARCH_USE)
        settings, plan = self.settings, self.plan
        camera = open_set_up(settings.camera_uri, settings.camera_setup)
        if camera.notice:
            _log.warning(camera.notice)
        before = collected(settings.store)
        tally = Tally.of(before)
        known = tally.labels.get(plan.slide, plan.label)
        if known != plan.label:
            raise UsageError(
                f"--reference must be the slide's class: {plan.slide} has fields of {known}, and {plan.label} was "
                "given; a slide has one class, so name another slide or the class it has"
            )
        _require_one_spelling("--slide", plan.slide, tally.labels)
        _require_one_spelling("--reference", plan.label, tally.classes)
        with (
            stop_on(signal.SIGINT, signal.SIGTERM) as stop,
            Store.open(reference_folder(settings.store)) as store,
        ):
            said = _Said(self.json, plan)
            collector = Collector(
                store,
                plan,
                camera,
                settings.camera,
                self._quality(camera, before),
                clock=Clock(),
                stop=stop,
                timeout_s=settings.timeout_s,
                warm_up=None if camera.live else open_set_up(settings.camera_uri, settings.camera_setup),
                on_stored=said.stored,
            )
            said.collector = collector
            done = collector.collect()
            text = "\n".join([summary(done, plan), *_ends(collector.tally)])
        if self.json:
            _log.info(text)
        code = DONE if done.total >= plan.fields else NOT_ENOUGH_EVIDENCE
        return Outcome(code, record=[], text="" if self.json else text)

    def _quality(self, camera: "Camera", before: "list[ReferenceBody]") -> "FieldQuality":
        """By the bundle's limits where one is named; else relative to the sharpest field known of this camera."""
        from edge.commissioning.reference.quality import BundleQuality, RelativeQuality, sharpest_known

        if self.bundle is None:
            return RelativeQuality(sharpest_known(camera, before))
        from edge.bundle import bundle as bundles
        from edge.bundle.trusted import TrustedKeys
        from edge.errors import BundleError

        trust = TrustedKeys.load(self.settings.trust.keys)
        bundle = bundles.load(self.bundle, trust=trust, allow_unsigned=self.allow_unsigned)
        if bundle.gates is None:
            raise BundleError(f"{bundle.path}: no gates.json says which fields are fit; leave --bundle out")
        return BundleQuality(bundle.gates, bundle.contract, f"{bundle.name} {bundle.digest}")


class _Said:
    """What is printed while a collection goes on; a giveaway is said as soon as there is one."""

    def __init__(self, as_json: bool, plan: "Plan") -> None:
        self._json, self._plan = as_json, plan
        self._giveaways: set[tuple[str, str]] = set()
        self.collector: Collector | None = None

    def stored(self, row: "Row", body: "ReferenceBody") -> None:
        """A line, or an object, for one stored field."""
        import json as json_format

        from msgspec import to_builtins

        assert self.collector is not None
        tally = self.collector.tally
        giveaways = tally.giveaways()
        total, of = tally.of_slide(body.slide), self._plan.fields
        if self._json:
            reference = body.reference
            record = {
                "slide": body.slide,
                "field": body.field,
                "label": reference.label,
                "session": reference.session,
                "day": reference.day,
                "operator": reference.operator,
                "camera": reference.camera,
                "camera_setup": reference.camera_setup,
                "simulated": reference.simulated,
                "measures": reference.measures,
                "image": body.image.path,
                "image_sha256": body.image.sha256,
                "entry": row.id,
                "digest": row.digest,
                "stored": total,
                "wanted": of,
                "classes": tally.as_record(),
                "giveaways": to_builtins(giveaways),
                "next_class": tally.next_class(reference.session),
            }
            print(json_format.dumps(record, allow_nan=False), flush=True)
        else:
            print(f"field {body.field} of {body.slide} ({body.reference.label}): stored, {total} of {of}", flush=True)
        for each in giveaways:
            if (each.name, each.label) not in self._giveaways:
                self._giveaways.add((each.name, each.label))
                _log.warning(each.detail)


def _require_one_spelling(option: str, name: str, known: "Iterable[str]") -> None:
    """UsageError where `name` is a known one in other letters: as two slides one patient would judge itself, and a
    stick that makes no difference between capitals would write one file over the other."""
    near = next((each for each in known if each != name and each.casefold() == name.casefold()), None)
    if near is not None:
        raise UsageError(f"{option} must be written as before, {near}; got {name!r}, which differs in capitals only")


def _ends(tally: "Tally") -> list[str]:
    """What a collection ends with: the classes so far, and which to take next."""
    if tally.last is None:
        return []
    session = tally.last.reference.session
    lines = [f"so far: {tally.text()}"]
    if len(tally.classes) == 1:
        lines.append(f"next, in this session ({session}): a slide of another class than {tally.classes[0]}")
    elif (following := tally.next_class(session)) is not None:
        lines.append(f"next, in this session ({session}): a slide of {following}")
    return lines


def collect(
    slide: str,
    reference: str,
    fields: str = "20",
    camera: str = "",
    session: str = "",
    operator: str = "",
    bundle: str = "",
    wait: str = "300",
    store: str = "",
    config: str = "",
    json: bool = False,
    allow_unsigned: bool = False,
) -> CollectRequest:
    """Collect labelled fields of a slide at this microscope, for `models audit`, `models adapt` and `convert accept`.

    Move the slide; each field that is sharp, lit and not empty, and shows a part of the slide that no field of it has
    shown, is stored with its class in the reference record, a record of its own beside the device's. The same command
    goes on where it was stopped. Take classes in turn within a session: what is collected a class a day shows days, not
    disease, and is said at once. Ends with 3 when the slide has fewer fields than asked for.

    Args:
        slide: number of the glass slide, never a patient's name.
        reference: its class, such as healthy; the same for every field of the slide.
        fields: how many the slide is to have, those of earlier times counted.
        camera: picamera2:N, uvc:/dev/videoN, replay:PATH, or sim: (drawn); the profile's when left out.
        session: name of this sitting; by day and number when left out, a new one after an hour without a field.
        operator: role or initials of who collects.
        bundle: take the limits of this bundle's quality gates; measured against the sharpest field when left out.
        wait: seconds without a new field after which to end.
        store: folder of the device's record; fields go into its folder reference.
        config: profile; /etc/leukoscope/edge.toml where it exists. Options here come before it.
        json: print one JSON object a stored field.
        allow_unsigned: take the limits of a bundle that no key trusted here signed.
    """
    from importlib import metadata

    from edge.cameras.backends import open_camera
    from edge.commissioning.reference.collector import Plan
    from edge.settings.profile import load

    _require_names(slide, reference, session, operator)
    settings = load(optional_path(config)).with_options(store=store)
    settings = replace(settings, camera_uri=_moving(camera or settings.camera_uri))
    open_camera(settings.camera_uri)  # a camera that cannot be named is a wrong request: nothing is opened yet
    plan = Plan(
        slide=slide,
        label=reference,
        fields=whole_number(fields, "--fields", at_least=1, at_most=MOST_FIELDS),
        software=f"leukoscope {metadata.version('leukoscope')}",
        session=session,
        operator=operator,
        patience_s=float(whole_number(wait, "--wait", at_least=1, at_most=86_400)),
    )
    return CollectRequest(settings, plan, optional_path(bundle), json, allow_unsigned)


def _moving(uri: str) -> str:
    """The URI; a virtual microscope's slide is moved on by and by, since one piece of it has room for a few fields."""
    if not uri.startswith("sim:") or "places=" in uri:
        return uri
    return f"{uri}{'&' if '?' in uri else '?'}places=1000"


def _require_names(slide: str, reference: str, session: str, operator: str) -> None:
    """UsageError for a name that no record may hold."""
    from edge.commissioning.patient_names import operator_hint, patient_hint
    from edge.record.entry_parts import SLIDE

    hints = [
        patient_hint("--slide", slide),
        patient_hint("--session", session, dates=False),
        operator_hint(operator) and f"--{operator_hint(operator)}",
    ]
    if hint := next(filter(None, hints), None):
        raise UsageError(hint)
    for option, name in (("--slide", slide), ("--reference", reference), ("--session", session or "1")):
        if not SLIDE.fullmatch(name):
            raise UsageError(
                f"{option} must be 1 to 64 of A-Z a-z 0-9 . _ - and begin with a letter or digit; got {name!r}"
            )
