"""The `edge control` command."""

import logging
import os
import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from edge.commands.command_line import Outcome
from edge.errors import ANSWER_IS_NO, DONE, CameraTimeout, UsageError
from edge.system.option_values import optional_path, whole_number

if TYPE_CHECKING:
    from edge.commissioning.control.take import Judges
    from edge.record.entries import ControlBody
    from edge.record.store import Store
    from edge.serving.serve import Served
    from edge.settings.profile import Settings

_log = logging.getLogger(__name__)

_MOST_FIELDS = 500
_LONGEST_LOT = 64
_PATIENCE_S = 60.0  # for a camera that goes away, beside the time that the fields take


@dataclass(frozen=True)
class ControlRequest:
    """Control one slide.

    Attributes:
        expected, lot: None where they are as in the slide's control before.
        seconds: from field to field. out: folder for chart and page, or None.
    """

    settings: "Settings"
    slide: str
    expected: str | None
    lot: str | None
    fields: int
    seconds: int
    out: Path | None
    json: bool
    allow_uncertified: bool = False
    allow_unsigned: bool = False

    def execute(self) -> Outcome:
        """Take the control, record it, and say how it stands.

        Returns:
            Code 0: it passed, or the baseline is being built and nothing else is wrong; 1: it failed.

        Raises:
            UsageError: no such label. LeukoscopeError: no bundle, camera or record; nothing was recorded.
        """
        from edge.bundle.trusted import TrustedKeys
        from edge.commissioning.control import report
        from edge.commissioning.control.charts import slides_of
        from edge.commissioning.control.control_record import ControlRecord, control_folder
        from edge.record.store import Store
        from edge.serving.serve import RESEARCH_USE, serve
        from edge.system.files import require_writable

        _log.info(RESEARCH_USE)
        settings = self.settings
        if self.out is not None:
            require_writable(self.out, "--out")
        folder = control_folder(settings.store)
        _require_owner(settings.store)
        served = serve(
            settings.model,
            trust=TrustedKeys.load(settings.trust.keys),
            allow_uncertified=self.allow_uncertified,
            allow_unsigned=self.allow_unsigned,
            gates_off=settings.gates_off,
            site=settings.site,
        )
        if self.expected:
            _require_label(self.expected, served.bundle.contract.labels)
        with Store.open(folder) as store:
            before = ControlRecord(folder)
            before.look()
            entry = self._take(store, served, before.bodies)
            after = ControlRecord(folder)
            after.look()
        row, control = next(each for each in after.controls if each[0].id == entry)
        slide = slides_of(after.bodies, self.slide)[0]
        if self.out is not None:
            _write_charts(after.bodies, self.slide, self.out)
        code = DONE if control.passed else ANSWER_IS_NO
        return Outcome(code, report.record(row, control, slide), report.text(control, slide))

    def _take(self, store: "Store", served: "Served", before: Sequence["ControlBody"]) -> int:
        from edge.cameras.setup.set_up_camera import open_set_up, setup_digest
        from edge.cameras.supervised import SupervisedCamera
        from edge.commissioning.control.camera_lease import wanted
        from edge.commissioning.control.series import same_instrument, series_of
        from edge.commissioning.control.take import control_of, record_control, started, take_fields
        from edge.serving.run_info import run_info
        from edge.system.clock import Clock

        settings, clock, stop = self.settings, Clock(), threading.Event()
        camera = open_set_up(settings.camera_uri, settings.camera_setup)
        if camera.notice:
            _log.warning(camera.notice)
        if camera.kind != "replay":  # as in a run: its files were taken elsewhere
            served = served.under(setup_digest(camera) or "")
        info = run_info(served, camera, self.slide, settings)
        under = series_of(info)
        expected, lot = self._as_before([each for each in before if same_instrument(each.series, under)])
        labels = served.bundle.contract.labels
        pause_s = float(self.seconds) if camera.live else 0.0
        supervised = SupervisedCamera(
            camera,
            settings.camera,
            on_event=lambda event: _log.info(f"{event.kind}: {event.detail}"),
            timeout_s=settings.timeout_s,
            stop=stop,
        )
        began = clock.now()
        patience = threading.Timer(self.fields * (pause_s + 2 * supervised.timeout_s) + _PATIENCE_S, stop.set)
        patience.daemon = True
        with wanted(store.folder), started(supervised, stop.wait):
            patience.start()
            try:
                entries, numbers = take_fields(
                    supervised,
                    _judges(served),
                    count=self.fields,
                    pause_s=pause_s,
                    expected=labels.index(expected) if expected else None,
                    clock=clock,
                    stop=stop,
                )
            finally:
                patience.cancel()
        if stop.is_set():
            raise CameraTimeout(f"{camera.uri}: {len(entries)} of {self.fields} fields came; nothing was recorded")
        run = store.begin(info, began)
        at = clock.now()
        control = control_of(
            store.folder,
            run,
            info,
            numbers,
            asked=self.fields,
            lot=lot,
            expected=expected,
            settings=settings.control,
            at=at,
        )
        return record_control(store, run, entries, control, at)

    def _as_before(self, before: Sequence["ControlBody"]) -> tuple[str, str]:
        """(expected label, lot): as given, else as in the slide's control before, under this bundle and camera."""
        last = next((each.series for each in reversed(before) if each.slide == self.slide), None)
        if last is None:
            return self.expected or "", self.lot or ""
        if self.expected is not None and self.expected != last.expected and last.expected:
            raise UsageError(
                f"--expected must be {last.expected}, as in the controls of {self.slide} before; got "
                f"{self.expected!r}: another slide needs another name"
            )
        return self.expected or last.expected, last.lot if self.lot is None else self.lot


@dataclass(frozen=True)
class HistoryRequest:
    """Show the controls of the record in `store`, of one slide or of all; draw them into `out`.

    >>> control(history=True, store="/srv/record").store
    PosixPath('/srv/record')
    """

    store: Path
    slide: str
    out: Path | None
    json: bool

    def execute(self) -> Outcome:
        """Code 0 and the controls.

        Raises:
            UsageError: no control is recorded there, or none of that slide. StoreError: the record is damaged.
        """
        from edge.commissioning.control import report
        from edge.commissioning.control.charts import slides_of
        from edge.commissioning.control.control_record import ControlRecord, control_folder
        from edge.system.files import require_writable

        folder = control_folder(self.store)
        record = ControlRecord(folder)
        record.look()
        controls = [(row, body) for row, body in record.controls if not self.slide or body.slide == self.slide]
        if not controls:
            whose = f" of {self.slide}" if self.slide else ""
            raise UsageError(f"{folder}: no control{whose} was recorded; `edge control --slide QC-1` takes one")
        if self.out is not None:
            require_writable(self.out, "--out")
            _write_charts(record.bodies, self.slide, self.out)
        charts = {each.series.slide: each for each in slides_of(record.bodies, self.slide)}
        shown = [report.record(row, body, None) for row, body in controls]
        lines = [report.history(controls)]
        for each in charts.values():
            lines += ["", report.text(each.newest, each)]
        return Outcome(DONE, record=shown, text="\n".join(lines))


def control(
    slide: str = "",
    expected: str = "",
    lot: str = "",
    fields: str = "20",
    seconds: str = "1",
    camera: str = "",
    history: bool = False,
    out: str = "",
    store: str = "",
    config: str = "",
    bundle: str = "",
    runtime: str = "",
    threads: str = "",
    edgetpu: str = "",
    json: bool = False,
    allow_uncertified: bool = False,
    allow_unsigned: bool = False,
) -> ControlRequest | HistoryRequest:
    """Control the instrument with a control slide: measure it, judge it by Westgard's rules, record it.

    Exit code 1 when the control failed. A run on the same record lends its camera meanwhile, and answers by the new
    control within seconds where its profile demands one ([control] demand = "daily"). The first 20 controls of a slide
    under one bundle, camera and set-up make its targets; until then only labels and answers are checked.

    Args:
        slide: name of the control slide; a new slide needs a new name.
        expected: label that its fields should get; as in its control before when left out.
        lot: of the slide or the stain; a new one begins new targets. As in the control before when left out.
        fields: to look at.
        seconds: from one field to the next, in which the slide is moved; files are taken as they come.
        camera: picamera2:N, uvc:/dev/videoN, replay:PATH, or sim:.
        history: print the controls that were recorded, of SLIDE or of all, and take none.
        out: folder for the Levey-Jennings charts: control.png, control.html, control.json.
        store: folder of the record; controls lie in its folder `control`.
        config: profile; /etc/leukoscope/edge.toml where it exists. Options here come before it.
        bundle: folder of a model with its certificate; the one that would run when left out.
        runtime: litert, tflite_runtime or tf_lite; the first that is installed when left out.
        threads: for one inference.
        edgetpu: usb, pci, usb:N or pci:N: run the model compiled for the Edge TPU there; the CPU when left out.
        json: print one JSON object; with --history one a control.
        allow_uncertified: use a bundle whose certificate does not say "pass".
        allow_unsigned: use a bundle that no key trusted here signed; every record of it says so.
    """
    from edge.commissioning.control.targets import FEWEST_FIELDS
    from edge.settings.profile import load

    settings = load(optional_path(config)).with_options(
        bundle=bundle, runtime=runtime, threads=threads, edgetpu=edgetpu, store=store
    )
    if slide:
        _require_name(slide)
    folder = optional_path(out)
    if folder is not None:
        _require_drawing()
    if history:
        return HistoryRequest(settings.store, slide, folder, json)
    if not slide:
        raise UsageError("edge control needs --slide: the name of the control slide (or --history)")
    if len(lot) > _LONGEST_LOT or "\n" in lot:
        raise UsageError(f"--lot must be one line of at most {_LONGEST_LOT} characters; got {lot!r:.80}")
    _require_no_patient("lot", lot)
    return ControlRequest(
        settings=replace(settings, camera_uri=camera or settings.camera_uri),
        slide=slide,
        expected=expected or None,
        lot=lot or None,
        fields=whole_number(fields, "--fields", at_least=FEWEST_FIELDS, at_most=_MOST_FIELDS),
        seconds=whole_number(seconds, "--seconds", at_most=600),
        out=folder,
        json=json,
        allow_uncertified=allow_uncertified,
        allow_unsigned=allow_unsigned,
    )


def _judges(served: "Served") -> "Judges":
    from edge.commissioning.control.take import Judges
    from edge.inference.gates.base import Gates

    gates = served.bundle.gates
    return Judges(served.gates, Gates(()) if gates is None else gates.gates(), served.classifier, served.licence)


def _require_name(slide: str) -> None:
    from edge.record.entries import require_slide

    try:
        require_slide(slide)
    except ValueError as error:
        raise UsageError(f"--{error}") from None
    _require_no_patient("slide", slide)


def _require_no_patient(what: str, text: str) -> None:
    from edge.commissioning.patient_names import patient_hint

    if hint := patient_hint(what, text):
        raise UsageError(f"--{hint}")


def _require_label(label: str, labels: Sequence[str]) -> None:
    import difflib

    if label not in labels:
        near = difflib.get_close_matches(label, labels, n=1) or difflib.get_close_matches(label.title(), labels, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise UsageError(f"--expected must be one of {', '.join(labels)}; got {label!r}{hint}")


def _require_owner(store: Path) -> None:
    """Root must not make files in a service's record that the service may then not write."""
    there = next((path for path in (store, *store.absolute().parents) if path.exists()), None)
    if os.geteuid() != 0 or there is None or there.stat().st_uid == 0:
        return
    import pwd

    try:
        owner = pwd.getpwuid(there.stat().st_uid).pw_name
    except KeyError:
        owner = str(there.stat().st_uid)
    raise UsageError(f"{store} belongs to {owner}, who must take the control: `sudo -u {owner} edge control ...`")


def _require_drawing() -> None:
    import importlib.util

    for package, extra in (("matplotlib", "models"), ("jinja2", "page")):
        if importlib.util.find_spec(package) is None:
            raise UsageError(
                f"--out needs {package}, which is not installed: pip install '.[{extra}]' in a clone of Leukoscope, or "
                "draw the charts elsewhere from a copy of the record (`edge control --history --out`)"
            )


def _write_charts(controls: Sequence["ControlBody"], slide: str, folder: Path) -> None:
    from edge.commissioning.control.charts import slides_of
    from edge.page.control_report.page import write

    for path in write(slides_of(controls, slide), folder):
        _log.info(f"{path} written")
