"""Which frames of an open slide are judged: those asked for, and by itself each new field that the view stands on."""

import threading
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from time import monotonic, monotonic_ns
from typing import Any

from edge.commissioning.control.standing import FAILED, OVERDUE
from edge.commissioning.registration import FieldPrint
from edge.instrument.bench.seen import FieldMemory
from edge.instrument.bench.stillness import REFUSED_AFTER_S, Stillness
from edge.instrument.pipeline.selection import Choice, Look
from edge.record.entries import Stored

_LOOK_S = 0.1


@dataclass(frozen=True)
class Seen:
    """What was found of a frame beside the gates.

    Attributes:
        still: the view stands still. seen: the counted field that it shows again; None for none, or not looked for.
    """

    still: bool
    seen: int | None


@dataclass
class Ask:
    """A field that somebody asks for: the first frame exposed after that.

    Attributes:
        by: who. command, arguments: its id and arguments. given_ns: when, monotonic nanoseconds.
        answered: with the verdict once it is stored; cancelled where it was taken back.
    """

    by: str
    command: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    given_ns: int = field(default_factory=monotonic_ns)
    answered: Future[Stored] = field(default_factory=Future)


@dataclass
class _Chosen:
    """A frame on its way to the record."""

    seen: int | None
    shown: FieldPrint | None  # for what comes after it, where it will be counted
    stand: int
    ask: Ask | None


class FieldSelector:
    """Chooses the frames of the slide that is open; see `edge.instrument.pipeline.selection.Selector`.

    | the frame | is judged |
    |---|---|
    | is the first after somebody asked | always; it says which counted field it shows again |
    | shows a view that stands still, the gates let it pass, and no field counted before is in it | once a stand |
    | shows a view that has stood still for a second, and a gate refuses it | once a stand, unless it was judged |
    | is refused for want of a control alone, is of a slide that is paused, or of none | never by itself |

    Args:
        still_s: seconds that a view must have stood still.

    Attributes:
        automatic: fields are judged without being asked for.
        looked: called by the gate stage with every frame and what was found; must not wait.
    """

    def __init__(self, still_s: float) -> None:
        self._still_s = still_s
        self.looked: Callable[[Look, Seen], None] = lambda look, seen: None
        self.automatic = False
        self._changed = threading.Condition()  # guards what follows
        self._judging = False
        self._ask: Ask | None = None
        self._on_the_way: dict[int, _Chosen] = {}  # by when they were taken
        self._counted: deque[tuple[int, _Chosen]] = deque()  # for the gate stage: fields that were stored
        self._memory = FieldMemory()
        # The gate stage's own:
        self._stillness = Stillness()
        self._stand = 0
        self._judged = self._refused = self._compared = False  # of the stand
        self._again: int | None = None

    # --- for who gives commands -------------------------------------------------------------------------------

    def judge_slide(self, memory: FieldMemory, *, judging: bool) -> None:
        """Another slide, or none, is looked at from now on; nothing is on the way.

        Args:
            memory: of its counted fields.
        """
        with self._changed:
            self._memory, self._judging = memory, judging
            self._counted.clear()
            self._stand = 0  # the view is met anew

    def go_on(self) -> None:
        """Judge again after `hold`."""
        with self._changed:
            self._judging = True
            self._stand = 0

    def hold(self, timeout_s: float) -> bool:
        """Choose no further frame; whether those on the way were stored in time. Otherwise judging goes on."""
        with self._changed:
            before, self._judging = self._judging, False
            if self._changed.wait_for(lambda: not self._on_the_way, timeout_s):
                return True
            self._judging = before
            return False

    def ask(self, by: str, command: str, arguments: Mapping[str, Any]) -> Ask:
        """Ask for the next frame; one at a time."""
        asked = Ask(by, command, arguments)
        with self._changed:
            self._ask = asked
        return asked

    def wait_for(self, asked: Ask, frame_s: float, stored_s: float, given_up: threading.Event) -> Stored | None:
        """The verdict that was asked for; None where no frame was chosen in time, and the question is taken back, or
        where its verdict is not stored in time, and may be waited for again.

        Args:
            frame_s: seconds until a frame is chosen. stored_s: and from then on until it is stored.
            given_up: once set, a frame is waited for no longer.
        """
        deadline = monotonic() + frame_s
        while True:
            try:
                return asked.answered.result(_LOOK_S)
            except TimeoutError:
                now = monotonic()
                if (now >= deadline or given_up.is_set()) and self._take_back(asked):
                    return None
                if now >= deadline + stored_s:
                    return None

    def _take_back(self, asked: Ask) -> bool:
        with self._changed:
            if self._ask is not asked:
                return False
            self._ask = None
            return asked.answered.cancel()

    # --- for the record's stage -------------------------------------------------------------------------------

    def asked_for(self, captured_ns: int) -> Ask | None:
        """The question that a chosen frame, by when it was taken, answers."""
        with self._changed:
            chosen = self._on_the_way.get(captured_ns)
            return None if chosen is None else chosen.ask

    def stored(self, stored: list[Stored]) -> None:
        """Verdicts that are in the record now."""
        for each in stored:
            with self._changed:
                chosen = self._on_the_way.pop(each.entry.captured.monotonic_ns, None)
                if chosen is None:
                    continue
                if each.entry.probabilities is not None and chosen.seen is None:  # the gates let it pass
                    self._counted.append((each.field, chosen))
                self._changed.notify_all()
            if chosen.ask is not None:
                chosen.ask.answered.set_result(each)

    def given_up(self, captured_ns: int) -> None:
        """As `Selector.given_up`."""
        with self._changed:
            self._on_the_way.pop(captured_ns, None)
            self._changed.notify_all()

    # --- for the gate stage -----------------------------------------------------------------------------------

    def choose(self, look: Look) -> Choice | None:
        """As `Selector.choose`."""
        still_s = self._stillness.see(look.prepared, look.at.monotonic_ns)
        with self._changed:
            self._meet(self._stillness.stand)
            judging, memory, counted = self._judging, self._memory, list(self._counted)
            self._counted.clear()
            ask = self._ask if judging and self._ask is not None and look.exposed_ns >= self._ask.given_ns else None
            if ask is not None:
                self._ask = None
            waiting = bool(self._on_the_way)
        for number, chosen in counted:
            memory.add(number, chosen.shown)
            if chosen.stand == self._stand:
                self._again = number  # and still in view
        choice = self._chosen(look, still_s, ask, memory, waiting=waiting) if judging else None
        self.looked(look, Seen(still_s >= self._still_s, self._again if judging else None))
        return choice

    def _meet(self, stand: int) -> None:
        if stand != self._stand:
            self._stand = stand
            self._judged = self._refused = self._compared = False
            self._again = None

    def _chosen(
        self, look: Look, still_s: float, ask: Ask | None, memory: FieldMemory, *, waiting: bool
    ) -> Choice | None:
        refusal = look.report.refusal
        if ask is not None:
            return self._take(look, memory, ask, memory.print_of(look.pixels))
        if waiting or self._judged or still_s < self._still_s:
            return None
        if refusal is not None and (self._refused or still_s < REFUSED_AFTER_S or refusal.gate in (OVERDUE, FAILED)):
            return None
        shown = None
        if not self._compared:
            shown = memory.print_of(look.pixels)
            self._again, self._compared = memory.find(shown), True
        if self._again is not None or not self.automatic:
            return None
        return self._take(look, memory, None, shown or memory.print_of(look.pixels))

    def _take(self, look: Look, memory: FieldMemory, ask: Ask | None, shown: FieldPrint | None) -> Choice | None:
        """Choose a frame, unless judging was held meanwhile."""
        seen = memory.find(shown) if ask is not None else None
        passed = look.report.refusal is None
        with self._changed:
            if not self._judging or memory is not self._memory:
                self._ask = self._ask or ask
                return None
            chosen = _Chosen(seen, shown if passed else None, self._stand, ask)
            self._on_the_way[look.at.monotonic_ns] = chosen
        if passed:
            self._judged, self._compared, self._again = True, True, seen
        else:
            self._refused = True
        return Choice("" if ask is None else ask.by, seen)
