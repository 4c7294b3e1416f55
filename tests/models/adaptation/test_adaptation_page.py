"""The page and the card of an adaptation, from a record by hand: safe, and true to what is in it."""

import msgspec

from edge.inference.contract import InputContract
from models.adaptation.adaptation_record import (
    AdaptationRecord,
    Comparison,
    Counted,
    CurvePoint,
    ExactShare,
    Forecast,
    GatesJudged,
    ImageUsed,
    LearningCurve,
    Method,
    Recipe,
    Start,
)
from models.adaptation.judging.counting import share
from models.decision.cross_fit import Expected
from models.report.site.adaptation_page import adaptation_page
from models.report.site.adaptation_text import card, share_text, to_text
from models.site.audit_record import SITE_AUDIT_FORMAT, ClassCounts, SiteAudit
from models.site.refusals import Caution
from models.statistics.intervals import Interval
from models.statistics.share import Share
from tests.edge.page.html.page_checks import check_page, faults, scripted

LABELS = ("healthy", "sick")
CONTRACT = InputContract((224, 224), LABELS, benign=("healthy",), tiles=(2, 2))


def _counted(right: int, of: int) -> Counted:
    half = of // 2
    return Counted(
        right=share(right, of),
        sensitivity=share(right - half, half),
        specificity=share(half, half),
        missed=of - right,
        auroc=0.9,
        classes={"healthy": share(half, half), "sick": share(right - half, half)},
    )


def _record(benign: str | None = "healthy") -> AdaptationRecord:
    method = Method(name="adapted", text="a head", slides=_counted(9, 10), fields=_counted(38, 40), log_loss=0.2)
    return AdaptationRecord(
        format=1,
        site="lab-3",
        labels=LABELS,
        benign=benign,
        model_sha256="a" * 64,
        split_sha256="b" * 64,
        start=Start(name="mobilenet_v2", network_sha256="c" * 64, weights_sha256=None, features=1280),
        recipe=Recipe(tiles=(2, 2), red_cell_px=41.2, strength=0.05, views=2, folds=5, seed=0),
        images=tuple(
            ImageUsed(f"{label}/{k}.png", "d" * 64, f"S-{k}{label}", label, "fit" if k else "parity", (0.7, 0.3))
            for label in LABELS
            for k in range(3)
        ),
        slides={"healthy": 4, "sick": 4},
        parity_slides={"healthy": 1, "sick": 1},
        adapted=method,
        baselines=(Method(name="as_it_is", text="the network", why_not="no head for blood cells"),),
        tried=(),
        temperature=1.2,
        answer_from={"healthy": 0.95, "sick": 0.6},
        expected=Expected(
            folds=5,
            fields=32,
            gates=1,
            not_sure=4,
            unanswered=Share.counted(5, 32),
            wrong=1,
            missed=1,
            forms=0,
            missed_forms=0,
            answer_from={"healthy": (0.95,), "sick": (0.6,)},
        ),
        gates=GatesJudged(share(2, 40), {"out_of_focus": 2}),
        curve=LearningCurve(
            (CurvePoint(2, 12, 0.2, Interval(0.1, 0.4)), CurvePoint(4, 12, 0.1, Interval(0.0, 0.3))),
            Forecast(10, 0.05, Interval(0.0, 0.2), 0.45, 0.26, "ten more slides are worth collecting"),
        ),
        audit=SiteAudit(
            format=SITE_AUDIT_FORMAT,
            name="lab-3",
            seed=0,
            labels=LABELS,
            classes={label: ClassCounts(20, 5, 2, 1, 2) for label in LABELS},
            refusals=(),
            cautions=(Caution("not_known", "camera of the fields not known", "fill the columns of fields.csv"),),
            told=(),
            by_cells=None,
            by_cells_new_session=None,
            painted_out=None,
            identity=None,
            hold="slide",
        ),
        versions={"python": "3.11"},
        seconds={},
    )


def test_the_page_is_safe_whatever_stands_in_the_record() -> None:
    words = {*LABELS, "adapted", "fit", "parity", "slide", "not_known"}
    record = scripted(_record(), words, ("versions",))
    check_page(lambda: adaptation_page(record, CONTRACT, "OUT", "SITE"))


def test_the_page_says_what_is_in_the_record() -> None:
    page = adaptation_page(_record(), CONTRACT, "OUT", "SITE")
    assert faults(page) == [] and "Research use only" in page
    for text in (
        "4 of 5 (28.4 to 99.5 %)",  # sick slides found, exact interval
        "9 of 10",
        "no head for blood cells",
        "cannot rule out that 45 %",
        "camera of the fields not known",
        "2 x 2, mean; a red cell is 41.2 pixels wide",
        "convert quantize --int8 OUT/model.keras --data SITE",
    ):
        assert text in page, text


def test_without_a_benign_label_no_figure_of_missed_slides_is_shown() -> None:
    record = _record(benign=None)
    none = msgspec.structs.replace(record.adapted.slides, sensitivity=None, specificity=None, missed=None)
    fields = msgspec.structs.replace(record.adapted.fields, sensitivity=None, specificity=None, missed=None)
    adapted = msgspec.structs.replace(record.adapted, slides=none, fields=fields)
    forecast = msgspec.structs.replace(record.curve.forecast, bound_now=None, bound_then=None)
    record = msgspec.structs.replace(
        record, adapted=adapted, curve=msgspec.structs.replace(record.curve, forecast=forecast)
    )
    page = adaptation_page(record, CONTRACT, "OUT", "SITE")
    assert "missed" not in page and "cannot rule out" not in page
    assert "not counted" in card(record, CONTRACT)


def test_what_was_compared_and_not_taken_is_said_everywhere() -> None:
    """A normalizer that wins is never taken, and all three say so; an older record knows no comparison."""
    record = _record()
    assert "never taken" not in adaptation_page(record, CONTRACT, "OUT", "SITE")
    won = Comparison(against="without_variations", gain=0.21, p=0.004, taken=False)
    row = msgspec.structs.replace(record.adapted, name="normalized", compared=won)
    record = msgspec.structs.replace(record, baselines=(row,))
    said = (
        "tain normalized: loss by slide 0.210 lower than without stain variations, each at its best temperature; "
        "chance does as well with p = 0.004"
    )
    for text in (to_text(record), card(record, CONTRACT), adaptation_page(record, CONTRACT, "OUT", "SITE")):
        assert said in text and "never taken, since no device normalizes stain" in text
    older = msgspec.json.decode(msgspec.json.encode(record.adapted).replace(b',"compared":null', b""), type=Method)
    assert older == record.adapted


def test_terminal_and_card_follow_the_record() -> None:
    text, written = to_text(_record()), card(_record(), CONTRACT)
    assert "missed 1; fields" in text and "unanswered 5 of 32 fields, wrong 1" in text
    assert "| adapted | 9 of 10 (55.5 to 99.7 %) | 4 of 5" in written and "2 x 2 tiles" in written
    assert share_text(None) == "not counted" and share_text(ExactShare(0, 0, None, None)) == "0 of 0"
