"""Sites with known truth: folders of labelled fields of a drawn laboratory, clean or confounded in one way each.

A clean site mixes classes in every session and with every camera. Each entry of `CONFOUNDED` spoils exactly one thing;
`share_a_slide` and `share_images` spoil what was held back for acceptance.
"""

import functools
import hashlib
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

import cv2
import numpy as np

from edge.cameras.synthetic.laboratory import FIELD_SIZE, HEALTHY, LEUKEMIC, Laboratory
from edge.commissioning.fields_table import TABLE_NAME, FieldRow, read_table, table_text

LABELS = (HEALTHY, LEUKEMIC)
FOUR_LABELS = ("Benign", "Early", "Pre", "Pro")


@dataclass(frozen=True)
class DrawnSlide:
    """One slide of a site and how its fields are taken and filed.

    Attributes:
        number: which slide of the laboratory; its name follows. truth: whose cells it has. label: its class in the
            folder, which is the truth but where labels are shuffled.
        session, camera: which. fields: how many; first: number of the first.
        size: (width, height) in pixels; suffix: ".png" or ".jpg"; light: factor on the lamp.
        says: columns of `fields.csv` that are filled in for it.
    """

    number: int
    truth: str
    label: str
    session: int = 0
    camera: int = 0
    fields: int = 4
    first: int = 0
    size: tuple[int, int] = FIELD_SIZE
    suffix: str = ".png"
    light: float = 1.0
    says: frozenset[str] = frozenset({"session", "camera", "date"})

    @property
    def name(self) -> str:
        """Its name, which does not tell its class."""
        return f"S-{self.number:04d}"


Plan = tuple[DrawnSlide, ...]


def clean(
    slides: int = 10,
    fields: int = 4,
    *,
    labels: Sequence[str] = LABELS,
    sessions: int = 3,
    cameras: int = 1,
    first: int = 0,
    size: tuple[int, int] = FIELD_SIZE,
) -> Plan:
    """`slides` slides a class, numbered from `first` on: each session and each camera has slides of every class."""
    return tuple(
        DrawnSlide(
            first + place * len(labels) + which,
            label,
            label,
            session=place % sessions,
            camera=place // sessions % cameras,
            fields=fields,
            size=size,
        )
        for place in range(slides)
        for which, label in enumerate(labels)
    )


def _class_is_camera(plan: Plan) -> Plan:
    return tuple(replace(s, camera=_class(plan, s)) for s in plan)


def _class_is_session(plan: Plan) -> Plan:
    own = _own_sessions(plan)
    return tuple(replace(s, says=s.says - {"date"}) for s in own)


def _class_is_day(plan: Plan) -> Plan:
    own = _own_sessions(plan)
    return tuple(replace(s, says=s.says - {"session"}) for s in own)


def _class_is_size(plan: Plan) -> Plan:
    return tuple(replace(s, size=_smaller(s.size, _class(plan, s))) for s in plan)


def _class_is_format(plan: Plan) -> Plan:
    return tuple(replace(s, suffix=".jpg" if _class(plan, s) else ".png") for s in plan)


def _one_slide_a_class(plan: Plan) -> Plan:
    """As many fields as before, all of one slide a class."""
    firsts: dict[str, DrawnSlide] = {}
    for s in plan:
        known = firsts.get(s.label)
        firsts[s.label] = s if known is None else replace(known, fields=known.fields + s.fields)
    return tuple(replace(s, session=0, camera=0) for s in firsts.values())


def _labels_shuffled(plan: Plan) -> Plan:
    """Of each class's slides a part goes to every class: the label says nothing about the cells."""
    labels = sorted({s.label for s in plan})
    place = dict.fromkeys(labels, 0)
    found = []
    for s in plan:
        found.append(replace(s, label=labels[(labels.index(s.label) + place[s.label] // 3) % len(labels)]))
        place[s.label] += 1
    return tuple(found)


def _one_class_brighter(plan: Plan) -> Plan:
    return tuple(replace(s, light=1.0 if _class(plan, s) else 0.86) for s in plan)


CONFOUNDED: Mapping[str, Callable[[Plan], Plan]] = MappingProxyType(
    {
        "class_is_camera": _class_is_camera,
        "class_is_session": _class_is_session,
        "class_is_day": _class_is_day,
        "class_is_size": _class_is_size,
        "class_is_format": _class_is_format,
        "one_slide_a_class": _one_slide_a_class,
        "labels_shuffled": _labels_shuffled,
        "one_class_brighter": _one_class_brighter,
    }
)


def write_site(root: Path, seed: int, plan: Plan) -> Path:
    """Draw a folder a class and `fields.csv`; about 40 ms a field. Returns `root`."""
    laboratory = Laboratory(seed)
    rows = []
    for slide in plan:
        (root / slide.label).mkdir(parents=True, exist_ok=True)
        for index in range(slide.first, slide.first + slide.fields):
            data = _file(laboratory, slide, index)
            name = f"{slide.label}/{slide.name}_{index:04d}{slide.suffix}"
            (root / name).write_bytes(data)
            rows.append(
                FieldRow(
                    name,
                    slide.name,
                    slide.label,
                    session=f"session-{slide.session}" if "session" in slide.says else "",
                    camera=f"camera-{slide.camera}" if "camera" in slide.says else "",
                    date=laboratory.day(slide.session) if "date" in slide.says else "",
                    sha256=hashlib.sha256(data).hexdigest(),
                )
            )
    (root / TABLE_NAME).write_text(table_text(rows), encoding="utf-8")
    return root


@functools.cache
def drawn_site(seed: int, plan: Plan) -> Path:
    """As `write_site`, drawn once a process; not to be written to."""
    return write_site(Path(tempfile.mkdtemp(prefix="site-")) / f"site-{seed}", seed, plan)


def share_a_slide(training: Plan, held_back: Plan) -> Plan:
    """Held-back slides of which the first is one that trained: other fields of it, not one image twice."""
    known = training[0]
    return (replace(known, first=known.first + known.fields), *held_back[1:])


def share_images(training: Path, held_back: Path) -> None:
    """Put one slide's images of `training` among those held back, under the name of a slide that is there."""
    mine, theirs = read_table(training / TABLE_NAME), read_table(held_back / TABLE_NAME)
    old = next(row for row in theirs if row.label == mine[0].label)
    rows = list(theirs)
    for number, row in enumerate(r for r in mine if r.slide == mine[0].slide):
        name = f"{row.label}/{old.slide}_again_{number}{Path(row.file).suffix}"
        shutil.copy(training / row.file, held_back / name)
        rows.append(replace_row(row, file=name, slide=old.slide))
    (held_back / TABLE_NAME).write_text(table_text(rows), encoding="utf-8")


def replace_row(row: FieldRow, **changes: str) -> FieldRow:
    """A row with other values."""
    return FieldRow(**{name: changes.get(name, getattr(row, name)) for name in row.__struct_fields__})


def _file(laboratory: Laboratory, slide: DrawnSlide, index: int) -> bytes:
    field = laboratory.field(
        slide.truth,
        slide.number,
        index,
        session=slide.session,
        camera=slide.camera,
        size=slide.size,
        light=slide.light,
    )
    options = [cv2.IMWRITE_JPEG_QUALITY, 95] if slide.suffix == ".jpg" else [cv2.IMWRITE_PNG_COMPRESSION, 1]
    done, data = cv2.imencode(slide.suffix, cv2.cvtColor(field.frame, cv2.COLOR_RGB2BGR), options)
    assert done
    return np.asarray(data).tobytes()


def _own_sessions(plan: Plan) -> Plan:
    """Sessions of one class each, three a class."""
    return tuple(replace(s, session=3 * _class(plan, s) + s.session % 3) for s in plan)


def _smaller(size: tuple[int, int], steps: int) -> tuple[int, int]:
    return size[0] - 16 * steps, size[1] - 12 * steps


def _class(plan: Plan, slide: DrawnSlide) -> int:
    return sorted({s.label for s in plan}).index(slide.label)
