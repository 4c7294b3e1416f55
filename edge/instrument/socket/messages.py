"""The messages of the instrument's socket, version 1: what each one says, in which units, and what may be asked.

Every message is a JSON object whose `kind` names it. All are strict: a name that is not listed, a value of another
type or out of its range is refused. A new name is a new version.
"""

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct, field

from edge.record.entry_parts import SLIDE
from edge.record.slide_entries import Act

VERSION = 1
LONGEST_NOTE = 500  # characters

ONE_LINE = r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]*\Z"  # one line of text that can be written down
Slide = Annotated[str, Meta(pattern=rf"^(?:{SLIDE.pattern})\Z", description="1 to 64 of A-Z a-z 0-9 . _ -")]
CommandId = Annotated[str, Meta(pattern=r"^[0-9a-f]{32}\Z", description="32 hexadecimal digits")]
Name = Annotated[str, Meta(min_length=1, max_length=64, pattern=ONE_LINE)]
Note = Annotated[str, Meta(max_length=LONGEST_NOTE, pattern=ONE_LINE)]
Count = Annotated[int, Meta(ge=0)]
Positive = Annotated[int, Meta(ge=1)]
Share = Annotated[float, Meta(ge=0, le=1)]
Mode = Literal["none", "open", "paused"]
Problem = Literal[
    "malformed",  # the arguments are not those of the command
    "no_slide",  # none is open
    "slide_open",  # another one is
    "wrong_state",  # the slide is not as the command needs it: reopening one that is open
    "unknown_slide",  # the record has none of this name
    "unknown_field",  # the slide has none of this number
    "unknown_label",  # the model has no such class
    "id_reused",  # the id was given to another command before
    "unavailable",  # not now: the camera is away, the record cannot be written
    "busy",  # too many commands wait
    "failed",  # a fault of the instrument; its log says more
    "ended",  # the instrument is about to end
]
Reason = Literal["protocol", "slow", "full", "ended"]  # of a bye
PROBLEMS: tuple[str, ...] = Problem.__args__  # type: ignore[attr-defined]


class Message(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind"):
    """What all messages have in common: `kind`, by which they are told apart."""


# ---- from the instrument -------------------------------------------------------------------------------------------


class Bundle(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The model.

    Attributes:
        name: of its folder. digest: sha256 of its manifest, hex. version: that was signed; null where unsigned.
        signed_by: ids of the keys that signed it, separated by spaces, or "unsigned". certified: its certificate says
            "pass". acceptance: what it may say here, one sentence.
        synthetic: synthetic images certified it; null where nobody recorded it.
    """

    name: str
    digest: str
    version: int | None
    signed_by: str
    certified: bool
    acceptance: str
    synthetic: bool | None


class Rule(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The rule of a slide's finding.

    Attributes:
        name: with its version. words: what it says. fields: fewer counted ones are never enough.
        width: the widest 95 % interval of the share of fields that are not benign that is enough.
    """

    name: str
    words: str
    fields: Count
    width: Share


class GateLimits(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The limits of a gate, in its own unit.

    Attributes:
        lowest: what is lower is refused; null without such a limit. highest: what is higher; null likewise.
    """

    lowest: float | None = None
    highest: float | None = None


class Hello(Message, frozen=True, kw_only=True, tag="hello"):
    """The first message to every client.

    Attributes:
        version: of this protocol. software: name and version.
        instrument: id of this start of the instrument, 32 hex digits. boot: id of this start of the machine, within
            which its monotonic clock counts; "" where there is none.
        bundle: the model. labels: its classes, in order. benign: those of them that are.
        camera: its URI. simulated: its frames show no real smear. camera_setup: digest of its set-up, "" without.
        site: name of the laboratory, "" for none. study: what it did not accept runs all the same.
        rule: of a slide's finding. gates: limits by gate. size: (width, height) of a frame, pixels; null before one.
    """

    version: int = VERSION
    software: str
    instrument: CommandId
    boot: str
    bundle: Bundle
    labels: tuple[str, ...]
    benign: tuple[str, ...]
    camera: str
    simulated: bool
    camera_setup: str
    site: str
    study: bool
    rule: Rule
    gates: dict[str, GateLimits]
    size: tuple[Positive, Positive] | None = None


class State(Message, frozen=True, kw_only=True, tag="state"):
    """How the instrument is: on every change, and each second as a sign of life.

    Attributes:
        mode: no slide, or an open or paused one. slide: which one. why: one sentence on a pause that nobody asked for.
        automatic: usable new fields are judged by themselves. exposure_locked: the camera's exposure stays.
        camera: "ok", or one sentence on what is wrong. record: likewise.
        withheld: why benign is not answered; "" where it is.
        counters: of this run, by name. fps: frames a second of the last seconds.
        tally: of the slide's fields, as `edge.slides` makes it. finding: likewise.
        entry: id of the newest entry of the record; 0 in an empty one.
        utc_ns: when, by the wall clock. monotonic_ns: by the monotonic one.
    """

    mode: Mode
    slide: str | None
    why: str = ""
    automatic: bool
    exposure_locked: bool
    camera: str
    record: str = "ok"
    withheld: str
    counters: dict[str, int]
    fps: float
    tally: dict[str, Any] | None
    finding: dict[str, Any] | None
    entry: Count
    utc_ns: int
    monotonic_ns: int


class Watching(Message, frozen=True, kw_only=True, tag="watching"):
    """The answer to `watch`: from now on the client is sent what it wants. Where events begin a state follows, whose
    `entry` covers all that was not told before.

    Attributes:
        previews: as the client said. events: likewise.
    """

    previews: bool
    events: bool


class Meters(Message, frozen=True, kw_only=True, tag="meters"):
    """What was measured on a frame, at most 10 times a second while somebody watches.

    Attributes:
        sequence: the camera's frame number.
        gates: value by gate, in its own unit; null where it could not be measured.
        refused: name of the gate that refuses the frame; "" for none.
        still: the view stands still. seen: the counted field that this view shows again; else null.
        brightness: mean grey level, 0..255. sharpness: as the focus meter has it, higher is sharper.
        utc_ns: when the frame was captured, by the wall clock. monotonic_ns: by the monotonic one.
    """

    sequence: Count
    gates: dict[str, float | None]
    refused: str
    still: bool
    seen: int | None
    brightness: float | None
    sharpness: float | None
    utc_ns: int
    monotonic_ns: int


class Verdict(Message, frozen=True, kw_only=True, tag="verdict"):
    """A verdict that is in the record; the names are those of `edge.record.entries.VerdictBody`.

    Attributes:
        id: of its entry. slide: whose field it is. field: its number on the slide. sequence: the camera's frame number.
        label: the class; null where the answer is a reason. reason: a gate's name, or another stable one; null with a
            label. detail: one sentence on the reason.
        probabilities: by label; null where no model was asked. gates: measured value by gate.
        seen: the counted field that this one shows again, and is not counted for; else null.
        asked_by: who asked for it; "" where nobody did. utc: when the frame was captured, ISO 8601.
        image: the record has kept the field's image.
    """

    id: Positive
    slide: Slide
    field: Positive
    sequence: Count
    label: str | None
    reason: str | None
    detail: str | None
    probabilities: dict[str, Share] | None
    gates: dict[str, float | None]
    seen: int | None
    asked_by: str
    utc: str
    image: bool


class SlideAct(Message, frozen=True, kw_only=True, tag="slide"):
    """What happened to a slide, as it is in the record (`edge.record.slide_entries.SlideBody`).

    Attributes:
        id: of its entry. slide: which one. act: what happened. by: who asked for it; "" for the instrument itself.
        command: id of the command; "" without one. why: one sentence, where `by` is not enough.
        finding: what the slide came to, once it is closed. utc: when, ISO 8601.
    """

    id: Positive
    slide: Slide
    act: Act
    by: str
    command: str
    why: str
    finding: dict[str, Any] = field(default_factory=dict)
    utc: str


class Correction(Message, frozen=True, kw_only=True, tag="correction"):
    """An expert's word on a field, as it is in the record (`edge.record.slide_entries.CorrectionBody`).

    Attributes:
        id: of its entry. slide: whose field it is. field: that is corrected. verdict: id of the entry of its verdict.
        by: who says so. label: the class that the expert sees; "" for none of the model's.
        agrees: that is what was answered. note: one line. command: id of the command. utc: when, ISO 8601.
    """

    id: Positive
    slide: Slide
    field: Positive
    verdict: Positive
    by: str
    label: str
    agrees: bool
    note: str
    command: str
    utc: str


class Event(Message, frozen=True, kw_only=True, tag="event"):
    """Something that happened beside the verdicts.

    Attributes:
        id: of its entry; null where it is not in the record. event: what kind, a stable name. detail: one sentence.
        utc: when, ISO 8601.
    """

    id: int | None
    event: str
    detail: str
    utc: str


class Preview(Message, frozen=True, kw_only=True, tag="preview"):
    """A JPEG follows the line.

    Attributes:
        bytes: of the JPEG. width: of it, pixels. height: likewise. size: (width, height) of the frame that it shows.
        sequence: the camera's frame number.
        utc_ns: when the frame was captured, by the wall clock. monotonic_ns: by the monotonic one.
    """

    bytes: Positive
    width: Positive
    height: Positive
    size: tuple[Positive, Positive]
    sequence: Count
    utc_ns: int
    monotonic_ns: int


class Answer(Message, frozen=True, kw_only=True, tag="answer"):
    """The answer to a command, once what it changed is durable.

    Attributes:
        id: of the command. ok: it was done, now or before.
        error: why it was not, a stable name; "" where it was. detail: one sentence on it.
        result: what came of it, by command.
    """

    id: str
    ok: bool
    error: Problem | Literal[""] = ""
    detail: str = ""
    result: dict[str, Any] = field(default_factory=dict)


class Bye(Message, frozen=True, kw_only=True, tag="bye"):
    """The last message before the instrument hangs up.

    Attributes:
        reason: "protocol": the client sent what it may not; "slow": it does not read; "full": too many clients;
            "ended": the instrument ends.
        detail: one sentence.
    """

    reason: Reason
    detail: str


# ---- from the client -----------------------------------------------------------------------------------------------


class Watch(Message, frozen=True, kw_only=True, tag="watch"):
    """What the client wants to be sent; the newest holds. Unasked come only hello, one state, answers, and bye.

    Attributes:
        version: of this protocol. previews: one for each `ready`.
        events: state, meters, verdict, slide, correction and event.
    """

    version: int = VERSION
    previews: bool = False
    events: bool = False


class Ready(Message, frozen=True, kw_only=True, tag="ready"):
    """Credit for one more preview; credits do not add up."""


class Command(Message, frozen=True, kw_only=True, tag="command"):
    """Something to be done. An id that was done before, also before a restart, is answered alike and not done again.

    Attributes:
        id: made by who gives the command. name: which one (`edge.instrument.socket.commands`).
        by: who gives it, as the record will say. arguments: as the command has them.
    """

    id: CommandId
    name: Literal[
        "open", "pause", "continue", "close", "reopen", "judge", "automatic", "exposure", "reference", "correct"
    ]
    by: Name
    arguments: dict[str, Any] = field(default_factory=dict)


FromInstrument = Hello | State | Watching | Meters | Verdict | SlideAct | Correction | Event | Preview | Answer | Bye
FromClient = Watch | Ready | Command
