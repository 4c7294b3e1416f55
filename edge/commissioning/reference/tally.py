"""What has been collected so far: fields by class, slide, session and day, what of it gives the class away, and what
to collect next."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from msgspec import Struct

from edge.record.entries import ReferenceBody
from edge.system.wording import counted

SESSION_GAP_S = 3600.0  # after which a new sitting begins


class Giveaway(Struct, frozen=True, rename={"label": "class"}):
    """What tells a class without a look at its cells.

    Attributes:
        name: "class_is_session", "class_is_day" or "class_is_camera": no other class shares those of this one;
            "one_session" or "one_day": others share it, and there is no second. label: the class. detail: a sentence.

    >>> Giveaway("one_day", "healthy", "all came on one day").label
    'healthy'
    """

    name: str
    label: str
    detail: str


@dataclass
class Tally:
    """Reference fields by where they came from; `add` takes one more.

    Attributes:
        labels: slide -> its class. fields: (class, slide) -> how many. sessions, days, cameras: class -> name -> how
            many; what is not known is "".
        last: the field that came last; None before the first.
    """

    labels: dict[str, str] = field(default_factory=dict)
    fields: dict[tuple[str, str], int] = field(default_factory=dict)
    sessions: dict[str, dict[str, int]] = field(default_factory=dict)
    days: dict[str, dict[str, int]] = field(default_factory=dict)
    cameras: dict[str, dict[str, int]] = field(default_factory=dict)
    last: ReferenceBody | None = None

    @classmethod
    def of(cls, bodies: Iterable[ReferenceBody]) -> "Tally":
        """That of these fields, oldest first."""
        tally = cls()
        for body in bodies:
            tally.add(body)
        return tally

    def add(self, body: ReferenceBody) -> None:
        """Count one more."""
        reference = body.reference
        self.labels.setdefault(body.slide, reference.label)
        key = reference.label, body.slide
        self.fields[key] = self.fields.get(key, 0) + 1
        for of, name in (
            (self.sessions, reference.session),
            (self.days, reference.day),
            (self.cameras, reference.camera),
        ):
            counts = of.setdefault(reference.label, {})
            counts[name] = counts.get(name, 0) + 1
        self.last = body

    @property
    def classes(self) -> Sequence[str]:
        """The classes met, sorted."""
        return sorted({label for label, _ in self.fields})

    def of_slide(self, slide: str) -> int:
        """How many fields a slide has."""
        return sum(number for (_, of), number in self.fields.items() if of == slide)

    def of_class(self, label: str) -> int:
        """How many fields a class has."""
        return sum(number for (of, _), number in self.fields.items() if of == label)

    def slides(self, label: str) -> Sequence[str]:
        """The slides of a class, sorted."""
        return sorted(slide for slide, of in self.labels.items() if of == label)

    def giveaways(self) -> list["Giveaway"]:
        """What gives a class away by now, or would if it stayed so."""
        found = [
            self._giveaway(label, what, of)
            for label in self.classes
            for what, of in (("session", self.sessions), ("day", self.days), ("camera", self.cameras))
        ]
        return [giveaway for giveaway in found if giveaway is not None]

    def _giveaway(self, label: str, what: str, of: Mapping[str, Mapping[str, int]]) -> "Giveaway | None":
        mine = set(of[label])
        if "" in mine:  # not known of some: nothing can be said
            return None
        others = {name for other in self.classes if other != label for name in of[other]}
        fields = f"fields of {label} so far ({self.of_class(label)})"
        if others and mine.isdisjoint(others):
            named = next(iter(mine)) if len(mine) == 1 else f"{len(mine)} {what}s"
            text = (
                f"all {fields} came {_FROM[what]} {named}, and none of another class: the {what} gives the class away; "
                f"collect the others {_THERE[what]} too"
            )
            return Giveaway(f"class_is_{what}", label, text)
        if len(mine) == 1 and what in _ANOTHER:
            text = f"all {fields} came {_FROM[what]} {next(iter(mine))}: collect {label} {_ANOTHER[what]} too"
            return Giveaway(f"one_{what}", label, text)
        return None

    def next_class(self, session: str) -> str | None:
        """The class to take a slide of next in this session: the one with fewest fields in it; None while all have the
        same, or only one is known."""
        here = {label: self.sessions[label].get(session, 0) for label in self.classes}
        if len(here) < 2 or len(set(here.values())) == 1:
            return None
        return min(here, key=lambda label: (here[label], label))

    def as_record(self) -> dict[str, dict[str, int]]:
        """JSON-serializable: class -> how many fields, slides, sessions and days."""
        return {
            label: {
                "fields": self.of_class(label),
                "slides": len(self.slides(label)),
                "sessions": len(self.sessions[label]),
                "days": len(self.days[label]),
            }
            for label in self.classes
        }

    def text(self) -> str:
        """The classes so far: "healthy 20 fields of 1 slide, leukemic 40 fields of 2 slides"."""
        return ", ".join(
            f"{label} {counted(self.of_class(label), 'field')} of {counted(len(self.slides(label)), 'slide')}"
            for label in self.classes
        )


_FROM = {"session": "in session", "day": "on", "camera": "from camera"}
_THERE = {"session": "in the same session", "day": "on the same days", "camera": "with the same camera"}
_ANOTHER = {"session": "in another session", "day": "on another day"}


def session_name(tally: Tally, *, day: str, camera: str, camera_setup: str, utc_ns: int) -> str:
    """The session that a field taken now belongs to: the last one while camera, set-up and day are the same and no hour
    has passed, otherwise a new one, named by its day and a number."""
    last = tally.last
    if last is not None:
        reference, passed = last.reference, (utc_ns - last.utc_ns) / 1e9
        same = (reference.camera, reference.camera_setup, reference.day) == (camera, camera_setup, day)
        if same and 0 <= passed <= SESSION_GAP_S:
            return reference.session
    begins = day or "undated"
    known = {name for of in tally.sessions.values() for name in of}
    number = 1
    while f"{begins}-{number}" in known:
        number += 1
    return f"{begins}-{number}"
