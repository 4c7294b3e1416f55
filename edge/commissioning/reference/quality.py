"""Which fields are fit for reference, judged without the limits of any model (docs/decisions/0037-collect.md).

The limits of a bundle belong to the microscope that its images came from; another one's fields they refuse. So a field
is measured as the gates measure it, at a size of its own, and held against the camera's range and against the sharpest
field that this camera has shown. Novelty is not asked: what is collected decides what will not be new.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import cv2
import numpy as np
from msgspec import UNSET

from edge.cameras.base import Camera
from edge.cameras.setup.set_up_camera import is_set_up, setup_digest
from edge.commissioning.reference.record import camera_name
from edge.inference.contract import InputContract, Pixels
from edge.inference.gates.base import Gates
from edge.inference.gates.gates_file import GatesFile
from edge.inference.gates.measures import View
from edge.inference.gates.quality import QUALITY
from edge.record.entries import ReferenceBody

ROWS = 480  # the smallest height of what is measured; larger frames are shrunk by a whole factor to less than twice it
RELATIVE = "relative measures, version 1"
# Grey level of the clear glass. Below it a nucleus of density 1, a tenth of that light, has fewer than 8 steps left.
DARKEST = 80.0
MOST_WHITE = 5.0  # percent of the field at the end of the range: more, and light was lost that nobody can bring back
LEAST_NUCLEAR = 0.02  # percent of the field: less than one nucleus of 8 um on a field of 500 um x 375 um
LEAST_CONTRAST = 0.02  # standard deviation of the luma against the light: glass without a cell
LONGEST_MOTION = 3.0  # pixels of what is measured: `sim:` reads 0 at rest, 5.6 and more while its stage moves
# Of the sharpest field's edge width. In focus `sim:` stays below 1.13 whatever slide is in view; 0.3 um off focus
# (at 0.36 um a pixel of the published fields) is 1.15 and more, 0.6 um 1.4.
BLUNTEST = 1.25
WARM_UP = 20  # fields that are looked at for their focus first, where no field of this camera is known


@dataclass(frozen=True)
class Quality:
    """What was found of one field.

    Attributes:
        reason: name of the gate that refuses, "" when it is fit. detail: the same for a person.
        measures: value by gate. focus: width of its edges, pixels.
    """

    reason: str
    detail: str
    measures: Mapping[str, float]
    focus: float


class RelativeQuality:
    """Judges fields of one camera by its range and by the sharpest field that it has shown.

    Args:
        sharpest: edge width of the sharpest field known of this camera, pixels of what is measured; None for none.

    Attributes:
        sharpest: as of now; every field that is otherwise fit may lower it.

    >>> quality = RelativeQuality(sharpest=1.7)
    >>> quality.judge(np.full((480, 640, 3), 30, np.uint8)).reason
    'under_exposed'
    """

    judged_by = RELATIVE

    def __init__(self, sharpest: float | None = None) -> None:
        self.sharpest = sharpest

    @property
    def wants_a_first_look(self) -> bool:
        """Whether nothing says yet how sharp a field of this camera can be."""
        return self.sharpest is None

    @property
    def bluntest(self) -> float | None:
        """The widest edges that are taken now, pixels; None before a first field."""
        return None if self.sharpest is None else BLUNTEST * self.sharpest

    def judge(self, frame: Pixels) -> Quality:
        """Measure a frame, uint8 (H, W, 3) RGB, and say whether it is fit."""
        view = View(measured(frame))
        edges = view.edges
        measures = {
            "under_exposed": view.background,
            "over_exposed": view.white_percent,
            "empty_field": view.nuclear_percent,
            "no_contrast": view.contrast / max(view.background, 1.0),
            "motion_blur": edges.motion_px,
            "out_of_focus": edges.sharp_px,
        }
        found = [
            ("under_exposed", measures["under_exposed"] < DARKEST, f"at least {DARKEST:g}"),
            ("over_exposed", measures["over_exposed"] > MOST_WHITE, f"at most {MOST_WHITE:g}"),
            ("empty_field", measures["empty_field"] < LEAST_NUCLEAR, f"at least {LEAST_NUCLEAR:g}"),
            ("empty_field", measures["no_contrast"] < LEAST_CONTRAST, "and no cells at all"),
            ("motion_blur", measures["motion_blur"] > LONGEST_MOTION, f"at most {LONGEST_MOTION:g}"),
        ]
        wrong = next(((name, needs) for name, refused, needs in found if refused), None)
        if wrong is None:
            self.sharpest = min(self.sharpest or edges.sharp_px, edges.sharp_px)
            if edges.sharp_px > BLUNTEST * self.sharpest:
                wrong = "out_of_focus", f"the sharpest field had {self.sharpest:.2f}"
        if wrong is None:
            return Quality("", "", measures, edges.sharp_px)
        gate = QUALITY[wrong[0]]
        detail = f"{gate.claim}: {gate.says.format(measures[wrong[0]])}, {wrong[1]}"
        return Quality(wrong[0], detail, measures, edges.sharp_px)


class BundleQuality:
    """Judges fields by the limits of a bundle's quality gates; its novelty gate is not asked.

    Args:
        gates, contract: the bundle's. judged_by: its name and digest.
    """

    wants_a_first_look = False
    bluntest: float | None = None

    def __init__(self, gates: GatesFile, contract: InputContract, judged_by: str) -> None:
        made = gates.gates()
        self._gates = made.without([name for name in made.names if name not in QUALITY])
        self._contract, self.judged_by = contract, judged_by

    @property
    def gates(self) -> Gates:
        """Those that are asked."""
        return self._gates

    def judge(self, frame: Pixels) -> Quality:
        """As `RelativeQuality.judge`, on the frame as the bundle's contract prepares it."""
        report = self._gates.check(self._contract.prepare(frame))
        refusal, values = report.refusal, report.values
        focus = values.get("out_of_focus", 0.0)
        if refusal is None:
            return Quality("", "", values, focus)
        return Quality(refusal.gate, refusal.detail, values, focus)


FieldQuality = RelativeQuality | BundleQuality


def measured(frame: Pixels) -> Pixels:
    """The frame as it is measured: shrunk by a whole factor to a height below twice `ROWS`, uint8 (h, w, 3).

    >>> measured(np.zeros((1944, 2592, 3), np.uint8)).shape, measured(np.zeros((240, 320, 3), np.uint8)).shape
    ((486, 648, 3), (240, 320, 3))
    """
    factor = max(1, frame.shape[0] // ROWS)
    height, width = frame.shape[0] // factor, frame.shape[1] // factor
    if factor == 1:
        return frame
    whole = frame[: height * factor, : width * factor]
    return np.asarray(cv2.resize(whole, (width, height), interpolation=cv2.INTER_AREA), np.uint8)


def sharpest_known(camera: Camera, fields: Iterable[ReferenceBody]) -> float | None:
    """The narrowest edges that are known of a camera under its set-up: of reference fields, and of the set-up itself.

    Returns:
        Pixels of what is measured; None where nothing is known, or which camera it is is not.
    """
    name, setup = camera_name(camera.uri), setup_digest(camera)
    known = [
        width
        for body in fields
        if name and (body.reference.camera, body.reference.camera_setup) == (name, setup)
        if body.reference.judged_by == RELATIVE and (width := body.reference.measures.get("out_of_focus")) is not None
    ]
    if is_set_up(camera):
        reference, (width, height) = camera.setup.reference, camera.setup.size
        factor = max(1, height // ROWS)
        if reference.focus is not UNSET and reference.focus_size == (width // factor, height // factor):
            known.append(reference.focus)
    return min(known, default=None)
