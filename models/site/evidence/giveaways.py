"""Giveaways: camera, session, day, size, format, light and border, each asked for the class of a slide.

Nothing of these is disease. Where every value belongs to one class, no figure of the site can be told from that value,
however few slides there are; where some of it does, a test over the slides says whether chance would do as much. Tests
of one site are held together by Holm's procedure (1979, Scandinavian Journal of Statistics 6:65), so that of 20 sites
without a giveaway fewer than one is accused.
"""

import datetime
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt

from models.site.audit_record import SLIDES, Told
from models.site.evidence.measures import Measures
from models.site.evidence.told_apart import SHUFFLINGS, told_apart
from models.site.fields import SiteField, SiteFields
from models.site.refusals import FEWEST_SLIDES, Caution, Refusal, RefusalName
from models.site.slide_folds import slide_labels
from models.statistics.formatting import percent, percent_range

Floats = npt.NDArray[np.float64]
LEVEL = 0.05  # of all tests of a site together
LEAST_GAIN = 0.4  # above chance, as a part of what is possible, from which a site is refused
NOT_SAID = "not said"
_ALWAYS = ("camera", "format")  # one value a class refuses, however few slides share it
_SIDED = ("camera", "size", "format")  # asked for values that one class alone has, where there are few of them
_MOST_VALUES = 5
_CURES: Mapping[str, tuple[RefusalName, str]] = {
    "camera": ("class_is_camera", "take slides of every class with each camera, or use one camera's fields alone"),
    "session": ("class_is_session", "take slides of every class in each session"),
    "day": ("class_is_day", "take slides of every class on each day, in turn"),
    "size": ("class_is_size", "store fields of all classes at one size"),
    "format": ("class_is_format", "store fields of all classes in one format with one setting"),
    "light": (
        "class_is_colour",
        "find what differs (lamp, exposure, white balance, stain), set the camera up, and take all classes again",
    ),
    "border": ("class_is_border", "take fields without scale bar, frame or text"),
}
REFUSED: Mapping[str, RefusalName] = {name: said for name, (said, _) in _CURES.items()}
TEXTS: Mapping[str, str] = {  # for text and page
    "camera": "camera",
    "session": "session",
    "day": "day",
    "size": "image size",
    "format": "file format and encoding",
    "light": "ground and red cells' colour",
    "border": "border of the image",
    "colour": "six colour numbers, cells included",
}


def slide_means(site: SiteFields, rows: npt.NDArray[np.floating[Any]]) -> Floats:
    """(S, d), the mean over each slide's fields of (N, d); slides sorted by name."""
    place = {slide: index for index, slide in enumerate(site.slides)}
    which = np.array([place[field.slide] for field in site.fields])
    sums = np.zeros((len(place), rows.shape[1]))
    np.add.at(sums, which, rows)
    return np.asarray(sums / np.bincount(which)[:, None], np.float64)


def values_of(site: SiteFields, measures: Measures) -> Mapping[str, tuple[str, ...]]:
    """What each field's value is, by name of the giveaway; only what is known of some field."""
    columns: dict[str, Callable[[SiteField], str]] = {
        "camera": lambda field: field.row.camera,
        "session": lambda field: field.row.session,
        "day": lambda field: field.row.date,
    }
    found = {name: tuple(value(field) for field in site.fields) for name, value in columns.items()}
    known = {name: tuple(v or NOT_SAID for v in values) for name, values in found.items() if any(values)}
    sizes = tuple(f"{width}x{height}" for width, height in measures.sizes)
    return {**known, "size": sizes, "format": measures.encodings}


def tell_all(site: SiteFields, measures: Measures, *, seed: int) -> tuple[Told, ...]:
    """How well each giveaway tells the class of a slide; one that is the same everywhere is left out.

    "colour", the last, is no giveaway: cells of another colour are disease. It is what a network must beat.
    """
    labels = [slide_labels(site)[slide] for slide in site.slides]
    values = values_of(site, measures)
    rows: dict[str, Floats] = {name: _shares(site, own) for name, own in values.items()}
    if "day" in rows:
        rows["day"] = np.hstack([rows["day"], _calendar(site)])
    rows["size"] = np.hstack([rows["size"], slide_means(site, np.log(np.array(measures.sizes)))])
    rows["light"] = within_sessions(site, slide_means(site, measures.light))
    rows["border"] = slide_means(site, measures.border)
    rows["colour"] = slide_means(site, measures.colour)
    found = (told_apart(name, rows[name], labels, seed=seed) for name in TEXTS if name in rows)
    return tuple(told for told in found if told is not None)


def refuse(
    site: SiteFields, measures: Measures, told: Sequence[Told], units: str = SLIDES
) -> tuple[tuple[Refusal, ...], tuple[Caution, ...]]:
    """The giveaways that stand in the way, and those that tell a little."""
    refusals: dict[str, Refusal] = {}
    by_name = {each.name: each for each in told}
    values = values_of(site, measures)
    for name, own in values.items():
        if found := coincidence(site, own, always=name in _ALWAYS):
            said, cure = _CURES[name]
            shown = f" ({number(by_name[name], units)})" if name in by_name else ""
            refusals[name] = Refusal(said, f"{found}{shown}", cure)
    cautions = []
    for each in told_beyond_chance(told):
        said, cure = _CURES[each.name]
        text = f"{TEXTS[each.name]} alone: {number(each, units)}"
        if each.gain >= LEAST_GAIN:
            refusals.setdefault(each.name, Refusal(said, text, cure))
        elif each.name not in refusals:
            cautions.append(Caution("partly_told", text, cure))
    for name in _SIDED:
        if name in values and name not in refusals:
            cautions += _one_sided(site, name, values[name])
    return tuple(refusals[name] for name in _CURES if name in refusals), tuple(cautions)


def coincidence(site: SiteFields, values: Sequence[str], *, always: bool = False) -> str | None:
    """Two classes that share no value of their fields, in words; None where every two share some.

    Where both classes have five values or more, nearly as many as slides (each slide a day of its own), sharing none
    may be chance: then only what fewer than one in twenty shufflings of the two classes' slides would show counts.
    `always` refuses that, too.
    """
    slides: dict[str, set[str]] = {slide: set() for slide in site.slides}
    for field, value in zip(site.fields, values, strict=True):
        slides[field.slide].add(value)
    labels = slide_labels(site)
    for first, second in combinations(site.labels, 2):
        mine = [own for slide, own in slides.items() if labels[slide] == first]
        theirs = [own for slide, own in slides.items() if labels[slide] == second]
        seen, other = set[str]().union(*mine), set[str]().union(*theirs)
        if seen & other:
            continue
        few = min(len(seen), len(other)) < FEWEST_SLIDES or 2 * (len(seen) + len(other)) <= len(mine) + len(theirs)
        if always or few or _by_chance([*mine, *theirs], len(mine)) <= LEVEL:
            return f"{first} comes with {_listed(seen)} alone, {second} with {_listed(other)} alone"
    return None


def _one_sided(site: SiteFields, name: str, values: Sequence[str]) -> Iterator[Caution]:
    """Cameras, sizes or formats of two slides or more that only one class has: what is learned of them is the class."""
    slides: dict[str, set[str]] = {}
    for field, value in zip(site.fields, values, strict=True):
        slides.setdefault(value, set()).add(field.slide)
    labels = slide_labels(site)
    if not 1 < len(slides) <= _MOST_VALUES:
        return
    for value, own in sorted(slides.items()):
        of = {labels[slide] for slide in own}
        if len(of) == 1 and len(own) > 1:
            yield Caution("one_sided", f"{name} {value}: its {len(own)} slides are all {of.pop()}", _CURES[name][1])


def _by_chance(slides: Sequence[set[str]], first: int) -> float:
    """Share of shufflings, the one that is there included, in which `first` slides share no value with the others."""
    rng = np.random.default_rng(0)
    apart = 1
    for _ in range(SHUFFLINGS):
        order = rng.permutation(len(slides))
        mine, theirs = (set[str]().union(*(slides[k] for k in part)) for part in (order[:first], order[first:]))
        apart += not mine & theirs
    return apart / (1 + SHUFFLINGS)


def told_beyond_chance(told: Sequence[Told], level: float = LEVEL) -> Iterator[Told]:
    """The giveaways among them whose p holds by Holm's procedure at `level` for all of these together."""
    giveaways = [each for each in told if each.name in _CURES]
    for place, each in enumerate(sorted(giveaways, key=lambda t: t.p)):
        if each.p > level / (len(giveaways) - place):
            return
        yield each


def within_sessions(site: SiteFields, rows: Floats) -> Floats:
    """(S, 2 d): slides' rows (S, d), and the same less their session's mean; (S, d) where that says nothing.

    A lamp that differs from session to session hides a class that is brighter in each of them. Only where each session
    has several classes: else a session's mean is its class's.
    """
    sessions = [Counter(field.row.session for field in own).most_common(1)[0][0] for own in site.slides.values()]
    classes: dict[str, set[str]] = {}
    for session, own in zip(sessions, site.slides.values(), strict=True):
        classes.setdefault(session, set()).add(own[0].label)
    if len(classes) < 2 or any(len(labels) < 2 for labels in classes.values()):
        return rows
    means = {name: rows[[s == name for s in sessions]].mean(axis=0) for name in classes}
    return np.hstack([rows, rows - np.array([means[name] for name in sessions])])


def _shares(site: SiteFields, values: Sequence[str]) -> Floats:
    """(S, v): which part of a slide's fields has each value; values that one slide alone has say nothing of others."""
    slides: dict[str, set[str]] = {}
    for field, value in zip(site.fields, values, strict=True):
        slides.setdefault(value, set()).add(field.slide)
    shared = sorted(value for value, own in slides.items() if len(own) > 1)
    rows = np.array([[float(value == each) for each in shared] for value in values]).reshape(len(values), len(shared))
    return slide_means(site, rows)


def _calendar(site: SiteFields) -> Floats:
    """(S, 2): the day's number and its square: a class collected early, late, or between. The mean where not said."""
    known = [datetime.date.fromisoformat(f.row.date).toordinal() if f.row.date else np.nan for f in site.fields]
    days = np.array(known, np.float64)
    days -= np.nanmean(days)
    days = slide_means(site, np.nan_to_num(days)[:, None])
    return np.hstack([days, days**2])


def _listed(values: set[str]) -> str:
    names = sorted(values)
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def number(told: Told, units: str = SLIDES) -> str:
    """Accuracy with interval and chance, in words."""
    shown = percent_range(told.accuracy, told.interval, 0)
    return f"{shown} of {told.slides} held-out {units} are named rightly, chance {percent(told.chance, 0)}"
