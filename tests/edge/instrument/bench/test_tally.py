"""Whatever happens to a slide, its tally is the record's, and a closed slide's finding follows from its verdicts."""

import tempfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from edge.inference.licence import Licence
from edge.instrument.bench.modes import Refused, act_of
from edge.instrument.bench.slide import OpenSlide
from edge.instrument.pipeline.counters import Counts
from edge.instrument.run import Runs
from edge.record.audit import verify
from edge.record.entry_parts import moment
from edge.record.slide_entries import CorrectionBody
from edge.record.slide_queries import acts, newest_act
from edge.record.store import Store
from edge.slides.finding import SlideFinding, contradiction
from edge.slides.settings import SlideSettings
from edge.slides.tally import Tally
from edge.system.clock import Clock
from tests.edge.record.records import INFO, verdict

BENIGN = ("Benign",)
STEPS = st.one_of(
    st.sampled_from(["open", "pause", "continue", "close", "reopen", "restart"]),
    st.tuples(st.just("judge"), st.integers(0, 5), st.sampled_from([None, 1])),
    st.tuples(st.just("correct"), st.integers(1, 4)),
)


class Selector:
    """Nothing is ever on the way."""

    judging = False

    def judge_slide(self, memory: Any, *, judging: bool) -> None:
        self.judging = judging

    def go_on(self) -> None:
        self.judging = True

    def hold(self, timeout_s: float) -> bool:
        self.judging = False
        return True


def slide_of(store: Store, selector: Selector) -> OpenSlide:
    contract = SimpleNamespace(benign_labels=BENIGN)
    served = SimpleNamespace(bundle=SimpleNamespace(contract=contract, acceptance=None), licence=Licence())
    session: Any = SimpleNamespace(
        store=store,
        clock=Clock(),
        runs=Runs(store, Clock()),
        served=served,
        pipeline=SimpleNamespace(counts=Counts()),
        recorder=SimpleNamespace(why_full=""),
        info=lambda slide: INFO,
        note_standing=lambda: None,
        tell_light=lambda: None,
    )
    return OpenSlide(session, selector, SlideSettings(fields=2), lambda message: None)  # type: ignore[arg-type]


@settings(max_examples=15, deadline=None)
@given(steps=st.lists(STEPS, max_size=25))
def test_the_tally_is_the_record_s(steps: list[Any]) -> None:
    with tempfile.TemporaryDirectory() as folder, Store.open(Path(folder)) as opened:
        store, selector = opened, Selector()
        slide = slide_of(store, selector)
        for step in ["open", *steps]:
            if step == "restart":  # as after a kill: what was open is taken up, in another run
                if slide.standing.slide:
                    slide._session.runs.end(Counts(), "stopped")
                slide = slide_of(store, selector)
                slide.take_up("")
            elif isinstance(step, str):
                command(slide, step)
            elif step[0] == "correct":
                correct(slide, store, step[1])
            elif selector.judging:
                slide.stored(slide._session.runs.write(0, [verdict(step[1], seen=step[2])]))
            tally, _ = slide.counted()
            recounted = Tally.from_record(store, INFO.slide, BENIGN)
            assert (tally is None) == (slide.standing.mode == "none")
            assert tally is None or tally == recounted.as_record()
            assert selector.judging == (slide.standing.mode == "open")
            newest = newest_act(store, INFO.slide)
            if newest is not None and newest[1].act == "closed":
                assert contradiction(SlideFinding.of(newest[1].finding), recounted) == ""
        for (_, before), (_, after) in zip(acts(store, INFO.slide), acts(store, INFO.slide)[1:], strict=False):
            assert (before.act == "closed") == (after.act == "reopened")
        assert verify(Path(folder)).sound


def command(slide: OpenSlide, name: str) -> None:
    try:
        slide.standing.require(name)
    except Refused:
        return
    act = act_of(name)
    known = newest_act(slide._session.store, INFO.slide)
    if (act is not None and (known is None) == (name != "reopen")) or name not in ("open", "reopen"):
        assert act is not None
        slide.act(act, INFO.slide, by="anna")


def correct(slide: OpenSlide, store: Store, field: int) -> None:
    body = CorrectionBody(
        slide=INFO.slide, **moment(Clock().now()), corrects=field, verdict=0, by="reader", label="", agrees=False
    )
    try:
        row, body = store.append_correction(body)
    except ValueError:
        return
    slide.corrected(row.id, body)
