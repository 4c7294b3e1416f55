"""The modes of the bench, and which command leads from one to which.

| mode | open, reopen | judge | pause | continue | close |
|---|---|---|---|---|---|
| none | open | no_slide | no_slide | no_slide | no_slide |
| open | slide_open | open | paused | wrong_state | none |
| paused | slide_open | wrong_state | wrong_state | open | none |
"""

from dataclasses import dataclass
from typing import Literal

from edge.record.slide_entries import Act

Mode = Literal["none", "open", "paused"]
AT_START = "the instrument was started again"  # why a slide is paused that nobody paused
_MODES: dict[Act, Mode] = {
    "opened": "open",
    "reopened": "open",
    "continued": "open",
    "paused": "paused",
    "closed": "none",
}
_ACTS: dict[str, Act] = {
    "open": "opened",
    "reopen": "reopened",
    "pause": "paused",
    "continue": "continued",
    "close": "closed",
}


class Refused(Exception):  # noqa: N818  (an answer to who gave the command, and no fault)
    """A command that is not done, which changes nothing.

    Attributes:
        problem: a stable name, one of `edge.instrument.socket.messages.PROBLEMS`. detail: one sentence.
    """

    def __init__(self, problem: str, detail: str) -> None:
        super().__init__(detail)
        self.problem, self.detail = problem, detail


@dataclass(frozen=True)
class Standing:
    """How the bench stands.

    Attributes:
        slide: the one that is open or paused; "" for none. why: one sentence on a pause that nobody asked for; else "".

    >>> Standing("open", "s1").after("paused")
    Standing(mode='paused', slide='s1', why='')
    """

    mode: Mode = "none"
    slide: str = ""
    why: str = ""

    def after(self, act: Act, slide: str = "", why: str = "") -> "Standing":
        """How it stands after an act, of `slide` where that is opened or reopened."""
        mode = _MODES[act]
        return Standing() if mode == "none" else Standing(mode, slide or self.slide, why)

    def require(self, command: str, slide: str = "") -> None:
        """Raise Refused unless the command may be given now.

        Args:
            slide: that `open` or `reopen` are about; of the others the one that must be open, "" for whichever is.
        """
        if command in ("open", "reopen"):
            if self.mode != "none":
                raise Refused("slide_open", f"slide {self.slide} is {self.mode}; close it before another is opened")
            return
        if self.mode == "none":
            raise Refused("no_slide", f"{command} needs a slide, and none is open")
        if slide and slide != self.slide:
            raise Refused("wrong_state", f"{command} was meant for slide {slide}; the one that is open is {self.slide}")
        if command == "continue" and self.mode == "open":
            raise Refused("wrong_state", f"slide {self.slide} is not paused")
        if command in ("judge", "pause") and self.mode == "paused":
            raise Refused("wrong_state", f"slide {self.slide} is paused; continue it first")


def act_of(command: str) -> Act | None:
    """The act that a command comes to; None for one that is about no slide's state.

    >>> act_of("open"), act_of("judge")
    ('opened', None)
    """
    return _ACTS.get(command)
