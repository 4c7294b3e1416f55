"""The modes of the bench: every command in every mode, and what follows from it."""

import pytest

from edge.instrument.bench.modes import AT_START, Refused, Standing, act_of

NONE, OPEN, PAUSED = Standing(), Standing("open", "s1"), Standing("paused", "s1", AT_START)
COMMANDS = ("open", "reopen", "judge", "pause", "continue", "close", "reference")
TABLE = {
    NONE: ("none", "none", "no_slide", "no_slide", "no_slide", "no_slide", "no_slide"),
    OPEN: ("slide_open", "slide_open", "open", "paused", "wrong_state", "none", "open"),
    PAUSED: ("slide_open", "slide_open", "wrong_state", "wrong_state", "open", "none", "paused"),
}


@pytest.mark.parametrize("standing", TABLE, ids=lambda standing: standing.mode)
@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_in_every_mode(standing, command):
    expected = TABLE[standing][COMMANDS.index(command)]
    if expected in ("no_slide", "slide_open", "wrong_state"):
        with pytest.raises(Refused) as refused:
            standing.require(command, "s1")
        assert refused.value.problem == expected
        return
    standing.require(command, "s1")
    act = act_of(command)
    after = standing if act is None else standing.after(act, "s1")
    assert after.mode == (expected if expected != "none" or command == "close" else "open")
    assert (after.slide == "s1") == (after.mode != "none")


@pytest.mark.parametrize("command", ["pause", "judge", "close", "reference"])
def test_a_command_for_another_slide_is_refused(command):
    OPEN.require(command)
    with pytest.raises(Refused, match="meant for slide s2; the one that is open is s1"):
        OPEN.require(command, "s2")


def test_a_pause_nobody_asked_for_says_why_until_it_ends():
    assert PAUSED.after("continued") == OPEN
    assert OPEN.after("paused", why=AT_START) == PAUSED
    assert OPEN.after("closed") == NONE
