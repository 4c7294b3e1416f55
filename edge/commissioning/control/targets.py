"""The targets of a series of controls, and how a new control is judged against them.

Mean and standard deviation come from the first controls of a series that were sound, 20 unless the profile says
otherwise (CLSI C24, 4th ed.: at least 20, on different days where that can be); until then the baseline is being built,
and only what needs no target is checked. They stay what they are as long as the series lasts. Every sound control
counts in the rules, a rejected one too: a shift that is not mended goes on being rejected, however often the control is
repeated.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from statistics import fmean, stdev
from typing import Literal

from msgspec import Struct

from edge.commissioning.control.measures import MEASURES, FieldNumbers
from edge.commissioning.control.westgard import broken as rules_broken
from edge.record.entries import ControlBody
from edge.record.entry_parts import ControlTarget

NONE_ANSWERED, WRONG_LABEL, TOO_FEW = "none_answered", "wrong_label", "too_few_fields"
FEWEST_FIELDS = 5
_FEWEST_VALUES = 2  # of a measure in the baseline: a standard deviation needs two

Outcome = Literal["passed", "failed", "baseline"]


class Judgement(Struct, frozen=True):
    """How a control was judged: as the attributes of `ControlBody` of the same names.

    >>> Judgement("baseline", 3, 20, {}, {}).outcome
    'baseline'
    """

    outcome: Outcome
    number: int
    baseline: int
    targets: dict[str, ControlTarget]
    broken: dict[str, tuple[str, ...]]


def checks_of(fields: Sequence[FieldNumbers], expected: str, asked: int) -> dict[str, str]:
    """What is wrong with a control whatever its targets, a sentence by name.

    Args:
        asked: how many fields were to be looked at.
    """
    found: dict[str, str] = {}
    if len(fields) < min(asked, FEWEST_FIELDS):
        found[TOO_FEW] = f"{len(fields)} of {asked} fields; a control needs {FEWEST_FIELDS}"
    answered = [field.label for field in fields if field.label is not None]
    if not answered:
        reasons = Counter(str(field.reason) for field in fields)
        said = ", ".join(f"{count} {name}" for name, count in reasons.most_common())
        found[NONE_ANSWERED] = f"none of {len(fields)} fields was answered ({said or 'no field'})"
    elif expected and 2 * answered.count(expected) <= len(answered):
        found[WRONG_LABEL] = f"{answered.count(expected)} of {len(answered)} answered fields are {expected}"
    return found


def judge(
    before: Sequence[ControlBody],
    measures: Mapping[str, float | None],
    fields: int,
    checks: Mapping[str, str],
    baseline: int,
    within_run: Mapping[str, Sequence[float]] | None = None,
) -> Judgement:
    """Judge a control by the controls of its series before it.

    Args:
        before: of the same series, oldest first. measures, fields: of the new one. checks: as `checks_of`.
        baseline: controls that targets are made from, where none were made yet.
        within_run: newest z-scores of other control slides in the same run, by measure, for R-4s.
    """
    sound = [control for control in before if not control.checks]
    made = next((control for control in reversed(sound) if control.targets), None)
    if made is not None:
        targets, baseline = made.targets, made.baseline
    else:
        targets = _targets(sound[:baseline]) if len(sound) >= baseline else {}
    if checks:
        return Judgement("failed", len(sound), baseline, targets, {})
    if len(sound) < baseline:
        return Judgement("baseline", len(sound) + 1, baseline, {}, {})
    broken = {}
    for name, target in targets.items():
        value = measures.get(name)
        if value is None:
            continue
        series = [*z_scores(sound[baseline:], name, targets), z_score(name, value, target, fields)]
        if rules := rules_broken(series, (within_run or {}).get(name, ())):
            broken[name] = rules
    return Judgement("failed" if broken else "passed", len(sound) + 1, baseline, targets, broken)


def z_score(name: str, value: float, target: ControlTarget, fields: int) -> float:
    """Distance from a target's mean in standard deviations, of a measure in `MEASURES`."""
    return (value - target.mean) / spread(name, target, fields)


def spread(name: str, target: ControlTarget, fields: int) -> float:
    """The standard deviation that a measure is judged by: the baseline's, and its resolution at least.

    Twenty equal values have none, and a control would fail by its last digit. A share's resolution is one of the
    fields that were looked at; 0 fields leave it out.
    """
    resolution = MEASURES[name].resolution if name in MEASURES else 0.0
    least = (1 / fields if fields else 0.0) if resolution is None else resolution
    return max(target.sd, least)


def z_scores(controls: Sequence[ControlBody], name: str, targets: Mapping[str, ControlTarget]) -> list[float]:
    """The z-scores of a measure in sound controls that have it, in their order."""
    target = targets.get(name)
    values = [(each.measures.get(name), each.fields) for each in controls if not each.checks]
    if target is None:
        return []
    return [z_score(name, value, target, fields) for value, fields in values if value is not None]


def newest_z(control: ControlBody) -> dict[str, float]:
    """The z-scores of one control, by measure; none without targets."""
    return {
        name: z_score(name, value, target, control.fields)
        for name, target in control.targets.items()
        if (value := control.measures.get(name)) is not None and not control.checks
    }


def _targets(controls: Sequence[ControlBody]) -> dict[str, ControlTarget]:
    targets = {}
    for name in MEASURES:
        values = [value for each in controls if (value := each.measures.get(name)) is not None]
        if len(values) >= max(_FEWEST_VALUES, len(controls) // 2):
            targets[name] = ControlTarget(fmean(values), stdev(values))
    return targets
