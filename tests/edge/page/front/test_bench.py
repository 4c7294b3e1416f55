"""The bench page in a browser, against made-up messages: what it shows, what it asks for, and what it does without."""

import time
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from edge.commissioning.patient_names import like_a_patient
from tests.edge.page.front.conftest import Opened
from tests.edge.page.front.made_up import MARKUP, SUSPICIOUS
from tests.edge.page.front.stand_in import StandIn


def until(holds: Callable[[], Any], seconds: float = 20.0) -> None:
    """Wait for something of the stand-in; fails after `seconds`."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it did not come to that"
        time.sleep(0.02)


def bench(opened: Opened, stand_in: StandIn, mode: str = "open", **options: Any) -> Page:
    """The bench, with the instrument's state shown."""
    if mode != "none":
        stand_in.open(mode=mode)
    page = opened("/", **options)
    page.wait_for_selector(f"#mode[data-mode={mode}]")
    return page


def posts(stand_in: StandIn) -> list[tuple[str, str, Any]]:
    return [each for each in stand_in.asked if each[0] != "WS"]


def test_a_verdict_is_large_and_says_how_sure_and_a_refusal_says_what_to_do(opened: Opened, stand_in: StandIn) -> None:
    page = bench(opened, stand_in)
    stand_in.push(stand_in.judged(7, "Pre"))
    expect(page.get_by_test_id("verdict-word")).to_have_text("▲Pre")
    expect(page.get_by_test_id("verdict")).to_contain_text("Field 7")
    expect(page.locator("#probabilities .bar-row").first).to_have_text("Pre97%")
    size = page.get_by_test_id("verdict-word").evaluate("element => parseFloat(getComputedStyle(element).fontSize)")
    assert size >= 56  # px; read from a metre, letters of 10 mm need 38 on a desktop's screen
    stand_in.push(stand_in.judged(8, None))
    expect(page.get_by_test_id("verdict-word")).to_have_text("\N{EN DASH}Out of focus")
    expect(page.get_by_test_id("verdict-todo")).to_contain_text("Turn the fine focus")
    expect(page.locator("#probabilities .bar-row")).to_have_count(0)
    stand_in.push(stand_in.judged(9, "Benign", seen=7))
    expect(page.get_by_test_id("verdict-word")).to_have_text("●Benign")
    expect(page.get_by_test_id("seen")).to_have_text("seen (field 7)")
    expect(page.get_by_test_id("announcer")).to_contain_text("Field")


@pytest.mark.slow
def test_what_the_gates_say_of_the_view_takes_over_once_it_moved(opened: Opened, stand_in: StandIn) -> None:
    page = bench(opened, stand_in)
    stand_in.meters |= {"refused": "out_of_focus", "still": False}
    expect(page.get_by_test_id("badge")).to_have_text("✕ Out of focus")
    expect(page.get_by_test_id("verdict-word")).to_contain_text("Out of focus")
    stand_in.meters |= {"refused": "", "still": True, "seen": 12}
    expect(page.get_by_test_id("badge")).to_have_text("= seen (field 12)")
    stand_in.meters |= {"seen": None}
    expect(page.get_by_test_id("badge")).to_have_text("✓ usable")
    stand_in.push(stand_in.judged(7, "Pre"))
    expect(page.get_by_test_id("verdict-word")).to_have_text("▲Pre")
    stand_in.meters |= {"refused": "under_exposed"}  # the lamp went, the view did not move: the verdict stays
    expect(page.get_by_test_id("badge")).to_have_text("✕ Too dark")
    expect(page.get_by_test_id("verdict-word")).to_have_text("▲Pre")


def test_texts_of_the_instrument_never_become_markup(opened: Opened, stand_in: StandIn) -> None:
    stand_in.hello["labels"] = ["Benign", MARKUP]
    stand_in.state |= {"camera": MARKUP, "record": MARKUP, "withheld": MARKUP, "why": MARKUP}
    page = bench(opened, stand_in, "paused")
    shown = stand_in.judged(3, MARKUP, seen=MARKUP, asked_by=MARKUP, probabilities={MARKUP: 1.0})
    stand_in.push(shown)
    stand_in.push({"kind": "slide", "act": "closed", "slide": MARKUP, "why": MARKUP, "finding": {"finding": MARKUP}})
    expect(page.get_by_test_id("verdict-word")).to_contain_text("<img src=x")
    expect(page.get_by_test_id("notices")).to_contain_text("<img src=x")
    expect(page.get_by_test_id("last-closed")).to_contain_text("<img src=x")
    assert page.locator("img").count() == 0  # `opened` fails on the dialog that the markup would open


@pytest.mark.slow
def test_focus_says_which_way_is_better_and_holds_the_peak(opened: Opened, stand_in: StandIn) -> None:
    stand_in.frames, stand_in.quiet = 0, True
    page = bench(opened, stand_in, "none")
    focus, says = page.get_by_test_id("focus"), page.get_by_test_id("focus-says")

    def at(width: float, times: int = 4) -> None:
        for _ in range(times):
            stand_in.push(stand_in.meters | {"gates": {"out_of_focus": width, "under_exposed": 221.0}})

    at(4.0)
    expect(says).to_have_text("✕ out of focus: turn the fine focus (4 px)")
    at(3.0, 1)
    expect(says).to_have_text("▲ better: keep turning (3 px)")
    at(1.5)
    expect(says).to_have_text("✓ in focus (1.5 px)")
    best = float(focus.get_attribute("data-share") or 0)
    at(2.6)
    expect(says).to_have_text("▼ past the best: turn back (2.6 px)")
    expect(page.locator("#focus-peak")).to_have_text("best 1.5 px")
    assert float(focus.get_attribute("data-peak") or 0) == best > float(focus.get_attribute("data-share") or 0)
    stand_in.push(stand_in.meters | {"gates": {"under_exposed": 120.0, "over_exposed": 0.1}})
    expect(page.get_by_test_id("exposure-says")).to_have_text("✕ too dark: more light (120 of 255)")
    stand_in.push(stand_in.meters | {"gates": {"under_exposed": 250.0, "over_exposed": 9.0}})
    expect(page.get_by_test_id("exposure-says")).to_have_text("✕ too bright: less light (9 % white)")
    empty = {"refused": "empty_field", "gates": {"out_of_focus": 10.0, "under_exposed": 221.0}}
    stand_in.push(stand_in.meters | empty)
    expect(says).to_have_text("nothing here to focus on: move on")
    expect(page.locator("#focus-peak")).to_have_text("")


@pytest.mark.slow
def test_a_still_picture_is_seen_to_be_still(opened: Opened, stand_in: StandIn) -> None:
    page = bench(opened, stand_in, "none")
    picture, age = page.get_by_test_id("picture"), page.get_by_test_id("picture-age")
    expect(picture).to_have_attribute("data-state", "live")
    expect(age).to_be_hidden()
    stand_in.frames = 0
    expect(picture).to_have_attribute("data-state", "still")
    expect(age).to_be_visible()
    expect(age).to_have_text("No picture for 2 s")
    assert "grayscale" in page.locator("#canvas").evaluate("element => getComputedStyle(element).filter")
    stand_in.frames = 10
    expect(picture).to_have_attribute("data-state", "live")
    stand_in.frozen = 7  # frames come, and all are the same
    expect(picture).to_have_attribute("data-state", "still")


@pytest.mark.slow
def test_a_slow_link_is_said(opened: Opened, stand_in: StandIn) -> None:
    page = bench(opened, stand_in, "none")
    expect(page.get_by_test_id("picture")).to_have_attribute("data-state", "live")
    expect(page.get_by_test_id("notices")).not_to_contain_text("Slow link")
    stand_in.late_s = 3.0  # a clock that is wrong from the start would not be taken for it
    expect(page.get_by_test_id("notices")).to_contain_text("Slow link: the picture is 3 s late.")
    stand_in.late_s = 0.0
    expect(page.get_by_test_id("notices")).not_to_contain_text("Slow link")


@pytest.mark.slow
def test_nobody_looking_asks_for_no_pictures(opened: Opened, stand_in: StandIn) -> None:
    page = bench(opened, stand_in, "none")
    for hidden in (True, False):
        page.evaluate(
            """hidden => {
                Object.defineProperty(document, "hidden", {get: () => hidden, configurable: true});
                document.dispatchEvent(new Event("visibilitychange"));
            }""",
            hidden,
        )
        until(lambda hidden=hidden: ("WS", "watch", not hidden) in stand_in.asked)


def test_space_judges_and_letters_do_what_the_help_says(opened: Opened, stand_in: StandIn) -> None:
    page = bench(opened, stand_in)
    page.keyboard.press("Space")
    until(lambda: posts(stand_in) == [("POST", "judgements", {"slide": "S-0412"})])
    page.keyboard.press("p")
    until(lambda: posts(stand_in)[-1] == ("POST", "slides/S-0412/pause", None))
    page.keyboard.press("a")
    until(lambda: posts(stand_in)[-1] == ("PUT", "automatic", {"on": False}))
    page.keyboard.press("e")
    until(lambda: posts(stand_in)[-1] == ("PUT", "exposure", {"locked": True}))
    page.keyboard.press("?")
    expect(page.get_by_test_id("help-dialog")).to_be_visible()
    page.keyboard.press("Space")  # in a dialog it presses what has the focus, and judges nothing
    assert sum(each[1] == "judgements" for each in posts(stand_in)) == 1


@pytest.mark.slow
def test_a_pressed_button_does_not_take_the_pedal_s_key(opened: Opened, stand_in: StandIn) -> None:
    page = bench(opened, stand_in)
    page.get_by_test_id("pause").click()
    until(lambda: len(posts(stand_in)) == 1)
    page.keyboard.press("Space")
    until(lambda: posts(stand_in)[1:] == [("POST", "judgements", {"slide": "S-0412"})])
    page.get_by_test_id("pause").focus()  # by the keyboard: the space bar presses it
    page.keyboard.press("Space")
    until(lambda: posts(stand_in)[2:] == [("POST", "slides/S-0412/pause", None)])


@pytest.mark.slow
def test_a_pedal_is_learnt_and_works_with_single_keys_off(opened: Opened, stand_in: StandIn) -> None:
    page = bench(opened, stand_in)
    page.get_by_test_id("help").click()
    page.get_by_test_id("pedal-learn").click()
    page.keyboard.press("F9")
    expect(page.locator("#pedal-key")).to_have_text("F9")
    page.get_by_test_id("help-keys").uncheck()
    page.keyboard.press("Escape")
    expect(page.locator("dialog[open]")).to_have_count(0)
    for key in ("p", "Space", "F9"):
        page.keyboard.press(key)
    until(lambda: posts(stand_in) == [("POST", "judgements", {"slide": "S-0412"})])


def test_a_scanner_types_into_the_start_and_a_name_gets_a_hint(opened: Opened, stand_in: StandIn) -> None:
    page = bench(opened, stand_in, "none")
    page.keyboard.type("S-0413")  # nothing has the focus
    expect(page.get_by_test_id("slide-input")).to_have_value("S-0413")
    expect(page.get_by_test_id("slide-hint")).to_be_hidden()
    page.keyboard.press("Enter")
    until(lambda: posts(stand_in) == [("POST", "slides", {"slide": "S-0413"})])
    page.get_by_test_id("slide-input").fill("Doe.Jane")
    expect(page.get_by_test_id("slide-hint")).to_contain_text("looks like a person's name")
    page.get_by_test_id("slide-input").fill("../etc")
    page.keyboard.press("Enter")
    expect(page.get_by_test_id("slide-hint")).to_contain_text("Only letters")
    assert len(posts(stand_in)) == 1


@pytest.mark.slow
def test_the_hint_is_the_record_s(opened: Opened, stand_in: StandIn) -> None:
    page = opened("/")
    names = "Doe,Jane S-0412 B_2019-03-07 JaneDoe DOE_JANE CML-AML Benign.Pre x 20190307 Müller.Anna night-shift"
    found = page.evaluate(
        """async names => {
            const {likePatient} = await import("/static/js/view/name_hint.js");
            return names.map(likePatient);
        }""",
        names.split(),
    )
    said = {None: "", "two words like a name": "name", "a date, which may be one of birth": "date"}
    assert found == [said[like_a_patient(name)] for name in names.split()]
    assert {"", "name", "date"} == set(found)


def test_closing_names_the_finding_and_asks_first(opened: Opened, stand_in: StandIn) -> None:
    page = bench(opened, stand_in)
    expect(page.get_by_test_id("finding")).to_have_text("Not enough fields")
    expect(page.locator("#finding-missing")).to_contain_text("needed: 20 or more")
    expect(page.locator("#finding-missing")).to_contain_text("41% wide")
    stand_in.state["finding"] = SUSPICIOUS
    page.keyboard.press("c")
    expect(page.get_by_test_id("close-finding")).to_have_text("suspicious")
    page.get_by_test_id("close-cancel").click()
    assert posts(stand_in) == []
    page.get_by_test_id("close").click()
    page.get_by_test_id("close-confirm").click()
    until(lambda: posts(stand_in) == [("POST", "slides/S-0412/close", None)])
    stand_in.state |= {"mode": "none", "slide": None, "tally": None, "finding": None}
    stand_in.push({"kind": "slide", "id": 300, "act": "closed", "slide": "S-0412", "why": "", "finding": SUSPICIOUS})
    expect(page.get_by_test_id("last-closed")).to_have_text("Closed: S-0412. Finding: suspicious.")
    expect(page.get_by_test_id("slide-input")).to_be_visible()
    expect(page.get_by_test_id("judge")).to_be_disabled()


def test_the_page_comes_back_and_says_what_it_missed(opened: Opened, stand_in: StandIn) -> None:
    page = bench(opened, stand_in)
    stand_in.push(stand_in.judged(1))
    expect(page.locator("#feed li")).to_have_count(1)
    stand_in.missed = [stand_in.judged(1), stand_in.judged(2, "Pre"), stand_in.judged(3)]  # one is known already
    stand_in.hang_up()
    notices = page.get_by_test_id("notices")
    expect(notices).to_contain_text("Connected again after")
    expect(notices).to_contain_text("Caught up with what was recorded meanwhile (entries: 3).")
    expect(page.locator("#feed li")).to_have_count(3)
    assert ("WS", "since", 101) in stand_in.asked
    stand_in.served = False
    stand_in.push(
        {"kind": "link", "connected": False, "since": "", "why": "", "missed": 0, "complete": True, "entry": 0}
    )
    expect(notices).to_contain_text("The instrument does not answer.")
    expect(page.get_by_test_id("judge")).to_be_disabled()


@pytest.mark.slow
def test_the_states_that_a_technician_must_see(opened: Opened, stand_in: StandIn) -> None:
    stand_in.state |= {
        "camera": "no frame for 5 s",
        "record": "the disk is full",
        "withheld": "control overdue: QC-1 passed 30 h ago, at most 24 h",
        "why": "the instrument was started again",
    }
    page = bench(opened, stand_in, "paused")
    notices = page.get_by_test_id("notices")
    for text in ("no frame for 5 s", "the disk is full", "The control is overdue", "Check that the same glass"):
        expect(notices).to_contain_text(text)
    first = notices.locator(".notice-line").first
    assert "stop" in (first.get_attribute("class") or "")  # the gravest first
    expect(page.get_by_test_id("simulated")).to_be_visible()
    expect(page.get_by_test_id("notice")).to_contain_text("Research use only")
    expect(page.get_by_test_id("licence")).to_have_text("tiny-int8 · not accepted at any site")
    stand_in.state |= {"camera": "ok", "record": "ok", "withheld": "lab-3: acceptance expired: lamp_changed"}
    expect(notices).to_contain_text("The acceptance has expired")
    expect(notices).not_to_contain_text("disk is full")


@pytest.mark.parametrize(("role", "judges", "settings"), [("look", 0, 0), ("operate", 1, 0), ("administer", 1, 1)])
def test_a_role_sees_what_it_may_do(opened: Opened, stand_in: StandIn, role: str, judges: int, settings: int) -> None:
    stand_in.role = role
    page = bench(opened, stand_in)
    assert page.get_by_test_id("judge").count() == judges
    assert page.get_by_test_id("lock-exposure").count() == settings
    page.keyboard.press("Space")
    if judges:
        until(lambda: posts(stand_in))
    else:
        page.wait_for_timeout(200)
        assert posts(stand_in) == []


@pytest.mark.slow
def test_the_list_of_verdicts_does_not_grow(opened: Opened, stand_in: StandIn) -> None:
    page = bench(opened, stand_in)
    for field in range(1, 200):
        stand_in.push(stand_in.judged(field))
    expect(page.locator("#feed li").first).to_contain_text("field 199")
    assert page.locator("#feed li").count() == 50


@pytest.mark.slow
def test_a_refusal_by_the_device_is_said_in_words(opened: Opened, stand_in: StandIn) -> None:
    page = bench(opened, stand_in)
    stand_in.refuse("POST judgements", 503, "unavailable", "the camera is away")
    page.keyboard.press("Space")
    expect(page.locator("#act-says")).to_contain_text("Not possible now")
    expect(page.locator("#act-says")).to_contain_text("the camera is away")


@pytest.mark.slow
def test_a_slide_that_was_closed_can_be_reopened_from_the_start(opened: Opened, stand_in: StandIn) -> None:
    page = bench(opened, stand_in, "none")
    stand_in.refuse("POST slides", 409, "wrong-state", "S-9 was closed")
    page.get_by_test_id("slide-input").fill("S-9")
    page.get_by_test_id("start").click()
    page.get_by_test_id("reopen").click()
    until(lambda: posts(stand_in)[-1] == ("POST", "slides/S-9/reopen", None))


@pytest.mark.slow
def test_the_first_paint_is_soon(opened: Opened, stand_in: StandIn) -> None:
    page = bench(opened, stand_in)
    painted = page.evaluate(
        "performance.getEntriesByType('paint').find(each => each.name === 'first-contentful-paint').startTime"
    )
    assert painted < 1000  # ms


@pytest.mark.slow
def test_many_pictures_leave_the_page_as_it_was(opened: Opened, stand_in: StandIn) -> None:
    """3,000 pictures and 1,500 verdicts: neither elements nor the heap grow from the first 600 on."""
    stand_in.frames = 1000.0
    page = bench(opened, stand_in)
    session = page.context.new_cdp_session(page)

    def measured() -> tuple[float, int]:
        session.send("HeapProfiler.collectGarbage")
        heap = page.evaluate("performance.memory.usedJSHeapSize") / 2**20
        return heap, page.evaluate("document.querySelectorAll('*').length")

    def show(frames: int, first: int) -> None:
        for field in range(first, first + frames // 2):
            stand_in.push(stand_in.judged(field, ["Benign", "Pre", None][field % 3]))
        seen = page.locator("#canvas")
        until(lambda: int(seen.get_attribute("data-sequence") or 0) > 2 * first + frames, 240)

    show(600, 1)
    before = measured()
    show(2400, 301)
    after = measured()
    assert after[1] <= before[1] + 60
    assert after[0] < before[0] + 3
