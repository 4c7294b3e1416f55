"""A slide's fields as the API tells of them: in order of number or of suspicion, by class or by reason."""

from collections.abc import Callable
from typing import Literal

from msgspec import UNSET

from edge.inference.licence import held_back
from edge.page.http.answers import not_found
from edge.page.problems import Problem
from edge.page.records import cursors
from edge.page.records.answers import CorrectionOut, FieldOut, FieldsOut, ImageOut
from edge.page.records.slides import correction_out, last_field
from edge.page.records.tallies import Tallies
from edge.record.entries import VerdictBody
from edge.record.reader import Reader
from edge.record.slide_queries import corrections, verdict, verdicts

Order = Literal["number", "suspicious"]
_PATH = "/api/v1/slides/{slide}/fields/{field}/image"


def fields(
    slide: str, tallies: Tallies, *, label: str, reason: str, order: Order, cursor: str, limit: int
) -> Callable[[Reader], FieldsOut]:
    """The question for a piece of a slide's fields.

    A cursor names the last field that was given, so that nothing is given twice while fields arrive; it holds no more,
    since what fields are sorted by is a probability, which the licence may withhold.

    Raises:
        Problem: 422: a cursor of another list, or a label and a reason; 404: no such slide.
    """
    if label and reason:
        raise Problem(422, "label-or-reason", "a field has a label or a reason; give one of them")
    asked = (order, label, reason)
    after = 0
    if cursor:
        *of, after = cursors.read(cursor, tuple[str, str, str, cursors.Number])
        if tuple(of) != asked:
            raise Problem(422, "cursor", "cursor must be the `next` of this list as it was given")

    def ask(store: Reader) -> FieldsOut:
        with store.at_one_moment():
            last_field(store, slide)
            if order == "number" and not label and not reason:
                found = list(verdicts(store, slide, after=after, most=limit + 1))
                numbers = [body.field for _, body in found]
            else:
                numbers = _chosen(store, tallies, slide, asked, after)[: limit + 1]
                found = [each for number in numbers[:limit] if (each := verdict(store, slide, number)) is not None]
            corrected = _by_field(store, slide)
            items = [
                _field(store, tallies, entry, body, corrected.get(body.field, [])) for entry, body in found[:limit]
            ]
        following = cursors.written((*asked, numbers[limit - 1])) if len(numbers) > limit else None
        return FieldsOut(items=items, next=following)

    return ask


def one_field(slide: str, number: int, tallies: Tallies) -> Callable[[Reader], FieldOut]:
    """The question for one field; Problem 404 where the slide has no verdict of that number."""

    def ask(store: Reader) -> FieldOut:
        with store.at_one_moment():
            entry, body = require_verdict(store, slide, number)
            return _field(store, tallies, entry, body, _by_field(store, slide).get(number, []))

    return ask


def require_verdict(store: Reader, slide: str, number: int) -> tuple[int, VerdictBody]:
    """A verdict with its entry's number; Problem 404 where there is none."""
    last_field(store, slide)
    found = verdict(store, slide, number) if number < 2**63 else None
    if found is None:
        raise not_found("no-field", f"slide {slide} has no field {number} with a verdict")
    return found


def probabilities(body: VerdictBody, labels: tuple[str, ...]) -> dict[str, float] | None:
    """A verdict's probabilities by class; None without, and where they would say what the licence withholds."""
    if body.probabilities is None or held_back(body.label, body.reason):
        return None
    return dict(zip(labels, body.probabilities, strict=False))


def _chosen(store: Reader, tallies: Tallies, slide: str, asked: tuple[str, str, str], after: int) -> list[int]:
    """The fields of a list behind field `after`; Problem 422 where that is not in it."""
    order, label, reason = asked
    numbers = [
        line.key[2]
        for line in tallies.of(store, slide).lines
        if (not label or line.label == label) and (not reason or line.reason == reason)
    ]
    if order == "number":
        return [number for number in sorted(numbers) if number > after]
    if after and after not in numbers:
        raise Problem(422, "cursor", f"field {after}, which the list was given to, is not in it any more; begin anew")
    return numbers[numbers.index(after) + 1 if after else 0 :]


def _by_field(store: Reader, slide: str) -> dict[int, list[CorrectionOut]]:
    found: dict[int, list[CorrectionOut]] = {}
    for entry, body in corrections(store, slide):
        found.setdefault(body.corrects, []).append(correction_out(entry, body))
    return found


def _field(store: Reader, tallies: Tallies, entry: int, body: VerdictBody, corrected: list[CorrectionOut]) -> FieldOut:
    image = body.image
    url = _PATH.format(slide=body.slide, field=body.field)
    return FieldOut(
        entry=entry,
        slide=body.slide,
        field=body.field,
        run=body.run,
        utc=body.utc,
        sequence=body.sequence,
        label=body.label,
        reason=body.reason,
        detail=body.detail,
        probabilities=probabilities(body, tallies.labels(store, body.run)),
        gates=body.gates,
        seen=None if body.seen is UNSET else body.seen,
        asked_by="" if body.asked_by is UNSET else body.asked_by,
        image=None if image is None else ImageOut(url=url, sha256=image.sha256, bytes=image.bytes),
        corrections=corrected,
    )
