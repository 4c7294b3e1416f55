"""The finding of a slide: what the profile's rule makes of its counted fields, and whether there are enough of them."""

from collections.abc import Mapping
from typing import Any, Literal

import msgspec
from msgspec import Struct, to_builtins

from edge.errors import StoreError
from edge.inference.licence import UNBOUND, Licence
from edge.slides.interval import exact_interval
from edge.slides.rules import RULES, rule_named
from edge.slides.settings import SlideSettings
from edge.slides.tally import Tally
from edge.system.wording import counted

NOT_ENOUGH: Literal["not_enough_fields"] = "not_enough_fields"
Found = Literal["suspicious", "benign", "undecided", "refused", "not_enough_fields"]
IN_WORDS: dict[Found, str] = {
    "suspicious": "suspicious",
    "benign": "benign",
    "undecided": "undecided",
    "refused": "cannot be judged",
    "not_enough_fields": "not enough fields",
}


class SlideFinding(Struct, frozen=True, omit_defaults=True):
    """What a slide comes to so far, or came to when it was closed. The record keeps it as `as_record` gives it.

    Attributes:
        finding: the rule's, or NOT_ENOUGH. Only a suspicious one needs no waiting: a wrong benign is the worst.
        why: one sentence for people.
        rule: by which. benign: the labels that are.
        tally: what was counted (`Tally.as_record`).
        interval: exact 95 % interval (Clopper-Pearson) of the share of answered fields that are not benign, 0..1; None
            where benign answers are withheld: a share of what is left of the answers says nothing.
        fields, width: fewer counted fields, and a wider interval, are not enough.
        withheld: why benign may not be said; "" where it may.

    >>> finding_of(Tally(["Benign"]), SlideSettings()).finding
    'not_enough_fields'
    """

    finding: Found
    why: str
    rule: str
    benign: tuple[str, ...]
    tally: dict[str, Any]
    interval: tuple[float, float] | None
    fields: int
    width: float
    withheld: str = ""

    def as_record(self) -> dict[str, Any]:
        """JSON-serializable, for `SlideBody.finding` and for whoever asks over the socket."""
        record: dict[str, Any] = to_builtins(self)
        return record

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> "SlideFinding":
        """From what `as_record` gave; StoreError where it is none."""
        try:
            return msgspec.convert(record, cls)
        except msgspec.ValidationError as error:
            raise StoreError(f"no finding of a slide: {error}") from error


def finding_of(tally: Tally, settings: SlideSettings, licence: Licence = UNBOUND, fewest: int = 0) -> SlideFinding:
    """The finding of what was counted.

    Args:
        licence: of the bundle: where it withholds benign answers, no slide is found benign.
        fewest: fields of the smallest slide that the bundle was accepted by: with fewer, nobody counted what a benign
            finding misses.

    Raises:
        SettingsError: there is no such rule.
    """
    fields = max(settings.fields, fewest)
    interval = None if licence.withheld else exact_interval(tally.other, tally.answered)
    withheld = (licence.why or "benign answers are withheld") if licence.withheld else ""
    found, why = _judged(tally, settings.rule, fields, settings.width, interval, withheld)
    return SlideFinding(
        found,
        why,
        settings.rule,
        tuple(sorted(tally.benign)),
        tally.as_record(),
        interval,
        fields,
        settings.width,
        withheld,
    )


def contradiction(found: SlideFinding, tally: Tally) -> str:
    """What a recorded finding says otherwise than the slide's own verdicts; "" where it follows from them.

    Args:
        tally: of the verdicts that the record holds of the slide up to its closing.
    """
    if found.rule not in RULES:
        return f"its rule {found.rule[:_SHOWN]!r} is none that this version knows"
    if frozenset(found.benign) != tally.benign:
        return f"it holds {_words(found.benign)} for benign, and the run {_words(tally.benign)}"
    counted_now, said = tally.as_record(), found.tally
    for name in ("fields", "seen", "passed", "answered", "as_benign", "other", "labels", "reasons"):
        if said.get(name) != counted_now[name]:
            return f"it counts {name} {str(said.get(name))[:_SHOWN]}, and the verdicts give {counted_now[name]}"
    interval = None if found.withheld else exact_interval(tally.other, tally.answered)
    judged, _ = _judged(tally, found.rule, found.fields, found.width, interval, found.withheld)
    if judged != found.finding:
        return f"it says {found.finding!r}, and rule {found.rule} gives {judged!r}"
    if (interval is None) != (found.interval is None) or (
        interval is not None
        and found.interval is not None
        and max(abs(one - other) for one, other in zip(interval, found.interval, strict=True)) > _ALIKE
    ):
        return f"its interval is {found.interval}, and the verdicts give {interval}"
    return ""


_ALIKE = 1e-6  # two machines' logarithms
_SHOWN = 120  # characters of what somebody else wrote


def _judged(
    tally: Tally, rule: str, fields: int, width: float, interval: tuple[float, float] | None, withheld: str
) -> tuple[Found, str]:
    """The finding, and why in one sentence."""
    judge = rule_named(rule).judge
    by_rule = judge(tally.fields, tally.passed, tally.as_benign, tally.other) if tally.fields else None
    low, high = interval or (0.0, 1.0)
    others = f"{tally.other} of {counted(tally.answered, 'answered field')} not benign"
    found: tuple[Found, str]
    if by_rule == "suspicious":
        found = by_rule, others
    elif by_rule is None or tally.fields < fields:
        found = NOT_ENOUGH, f"{counted(tally.fields, 'field')} counted, at least {fields} needed"
    elif by_rule == "refused":
        found = by_rule, f"the gates let {tally.passed} of {counted(tally.fields, 'field')} through, less than half"
    elif withheld:
        found = "undecided", withheld
    elif high - low > width:
        known = f"{low:.0%} to {high:.0%} of fields are not benign (95 % interval)"
        found = NOT_ENOUGH, f"{known}: {high - low:.0%} wide, at most {width:.0%} needed"
    elif by_rule == "benign":
        found = by_rule, f"{others} ({low:.0%} to {high:.0%}, 95 % interval)"
    else:
        passed = counted(tally.passed, "field")
        found = by_rule, f"{tally.as_benign} of {passed} that the gates let through answered benign, less than half"
    return found


def _words(labels: Any) -> str:
    return ", ".join(sorted(labels))[:_SHOWN] or "no label"
