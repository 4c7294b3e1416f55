"""One of each message, as the reference page shows it."""

from typing import Any

from edge.instrument.socket.messages import (
    Answer,
    Bundle,
    Bye,
    Command,
    Correction,
    Event,
    GateLimits,
    Hello,
    Message,
    Meters,
    Preview,
    Ready,
    Rule,
    SlideAct,
    State,
    Verdict,
    Watch,
    Watching,
)

ID = "0123456789abcdef0123456789abcdef"
UTC = "2026-11-30T09:15:02.250000000Z"
_WHEN: dict[str, Any] = {"utc_ns": 1795770902250000000, "monotonic_ns": 5321000000}
_FINDING = {"finding": "undecided"}

SAMPLES: dict[type[Message], Message] = {
    type(each): each
    for each in (
        Hello(
            software="leukoscope 0.1.0",
            instrument=ID,
            boot="6b1f6a4e-4ba0-4c6c-9d0c-0a4f7c1c3c55",
            bundle=Bundle(
                name="mobilenet_v2-int8",
                digest="5" * 64,
                version=3,
                signed_by="a1b2c3",
                certified=True,
                acceptance="not accepted at any site",
                synthetic=False,
            ),
            labels=("Benign", "Early", "Pre", "Pro"),
            benign=("Benign",),
            camera="sim:Pre",
            simulated=True,
            camera_setup="",
            site="",
            study=False,
            rule=Rule(name="tenth-1", words="A slide is suspicious when ...", fields=20, width=0.3),
            gates={"focus": GateLimits(lowest=12.5), "exposure": GateLimits(lowest=90.0, highest=235.0)},
            size=(1280, 960),
        ),
        State(
            mode="open",
            slide="s-17",
            automatic=True,
            exposure_locked=False,
            camera="ok",
            withheld="",
            counters={"captured": 912, "stored": 14},
            fps=29.6,
            tally={"counted": 12},
            finding=_FINDING,
            entry=341,
            **_WHEN,
        ),
        Watching(previews=True, events=True),
        Meters(
            sequence=912,
            gates={"focus": 31.2, "exposure": 181.0},
            refused="",
            still=True,
            seen=None,
            brightness=181.0,
            sharpness=31.2,
            **_WHEN,
        ),
        Verdict(
            id=341,
            slide="s-17",
            field=14,
            sequence=912,
            label="Pre",
            reason=None,
            detail=None,
            probabilities={"Benign": 0.01, "Early": 0.02, "Pre": 0.96, "Pro": 0.01},
            gates={"focus": 31.2, "exposure": 181.0},
            seen=None,
            asked_by="anna",
            utc=UTC,
            image=True,
        ),
        SlideAct(id=342, slide="s-17", act="closed", by="anna", command=ID, why="", finding=_FINDING, utc=UTC),
        Correction(
            id=343,
            slide="s-17",
            field=14,
            verdict=341,
            by="reader-2",
            label="Early",
            agrees=False,
            note="fine chromatin",
            command=ID,
            utc=UTC,
        ),
        Event(id=344, event="camera_lost", detail="no frame within 5 s", utc=UTC),
        Preview(bytes=61234, width=640, height=480, size=(1280, 960), sequence=912, **_WHEN),
        Answer(id=ID, ok=False, error="slide_open", detail="slide s-17 is open: close it first"),
        Bye(reason="slow", detail="no message was read for 10 s"),
        Watch(previews=True, events=True),
        Ready(),
        Command(id=ID, name="open", by="anna", arguments={"slide": "s-17"}),
    )
}

_ARGUMENTS: dict[str, dict[str, Any]] = {
    "open": {"slide": "s-17"},
    "pause": {},
    "continue": {},
    "close": {"slide": "s-17"},
    "reopen": {"slide": "s-17"},
    "judge": {},
    "automatic": {"on": True},
    "exposure": {"locked": True},
    "reference": {"label": "Pre"},
    "correct": {"slide": "s-17", "field": 14, "label": "Early", "agrees": False, "note": "fine chromatin"},
}
COMMANDS = {
    name: Command(id=ID, name=name, by="anna", arguments=arguments)  # type: ignore[arg-type]
    for name, arguments in _ARGUMENTS.items()
}
