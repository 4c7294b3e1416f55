"""Made-up answers of the API: slides, fields, controls, trends, the device and its users."""

import json
import math
from typing import Any

LABELS = ["Benign", "Early", "Pre", "Pro"]
TALLY: dict[str, Any] = {
    "fields": 14,
    "seen": 2,
    "passed": 12,
    "answered": 11,
    "as_benign": 10,
    "other": 1,
    "labels": {"Benign": 10, "Pre": 1},
    "reasons": {"out_of_focus": 2, "low_confidence": 1},
    "agreed": 1,
    "disagreed": 0,
}
FINDING: dict[str, Any] = {
    "finding": "not_enough_fields",
    "why": "14 fields counted, at least 20 needed",
    "rule": "tenth-1",
    "benign": ["Benign"],
    "tally": TALLY,
    "interval": [0.0023, 0.4128],
    "fields": 20,
    "width": 0.3,
}
SUSPICIOUS = FINDING | {
    "finding": "suspicious",
    "tally": TALLY | {"fields": 24, "answered": 20, "other": 4},
    "interval": [0.0573, 0.4366],
}
MARKUP = "<img src=x onerror=alert(1)>"


def told() -> dict[str, Any]:
    """Path below /api/v1 -> answer, a copy of their own for each caller."""
    fields = [_field(number) for number in range(1, 15)]
    items = {f"slides/S-0412/fields/{each['field']}": each for each in fields}
    made: dict[str, Any] = {
        "slides": {"items": [_line(number) for number in range(12)], "next": "abc"},
        "slides/S-0412": SLIDE,
        "slides/S-0412/fields": {"items": sorted(fields, key=lambda each: each["label"] != "Pre"), "next": None},
        **items,
        "controls": {"demanded": True, "problem": "", "slides": [_control_slide()]},
        "trends": _trends(),
        "device": DEVICE,
        "labels": {
            "labels": LABELS,
            "benign": ["Benign"],
            "simulated": True,
            "bundle": {"name": "tiny-int8", "acceptance": "lab-3: passed"},
        },
        "users": {"items": USERS, "next": None},
        "tokens": {"items": TOKENS, "next": None},
        "audit": {"items": AUDIT, "next": None},
    }
    copied: dict[str, Any] = json.loads(json.dumps(made))
    return copied


def _field(number: int) -> dict[str, Any]:
    label = "Pre" if number == 5 else None if number in (3, 8, 11) else "Benign"
    reason = None if label else "low_confidence" if number == 11 else "out_of_focus"
    asked = reason != "out_of_focus"
    corrections = [{**CORRECTION, "field": number}] if number == 5 else []
    return {
        "entry": 100 + number,
        "slide": "S-0412",
        "field": number,
        "run": 1,
        "utc": f"2026-11-30T08:{number:02}:00.000Z",
        "sequence": number * 10,
        "label": label,
        "reason": reason,
        "detail": None if label else "out of focus: edges 2.41 px wide, at most 1.74",
        "probabilities": dict.fromkeys(LABELS, 0.01) | {label or "Benign": 0.97} if asked else None,
        "gates": {"under_exposed": 221.3, "over_exposed": 0.31, "out_of_focus": 1.42 if asked else 2.41},
        "seen": 2 if number == 9 else None,
        "asked_by": "anna" if number % 4 == 0 else "",
        "image": None
        if number == 8
        else {"url": f"/api/v1/slides/S-0412/fields/{number}/image", "sha256": "0" * 64, "bytes": 1},
        "corrections": corrections,
    }


CORRECTION = {
    "entry": 190,
    "field": 5,
    "verdict": 105,
    "by": "reader-2",
    "label": "Pre",
    "agrees": True,
    "note": MARKUP,
    "utc": "2026-11-30T09:00:00.000Z",
}
SLIDE = {
    "slide": "S-0412",
    "state": "closed",
    "fields": 16,
    "tally": TALLY,
    "finding": SUSPICIOUS,
    "labels": LABELS,
    "benign": ["Benign"],
    "acts": [
        {
            "entry": 90,
            "act": "opened",
            "by": "anna",
            "why": "",
            "command": "",
            "utc": "2026-11-30T08:00:00.000Z",
            "finding": None,
        },
        {
            "entry": 120,
            "act": "paused",
            "by": "",
            "why": "the instrument was started again",
            "command": "",
            "utc": "2026-11-30T08:20:00.000Z",
            "finding": None,
        },
        {
            "entry": 180,
            "act": "closed",
            "by": "anna",
            "why": "",
            "command": "",
            "utc": "2026-11-30T08:40:00.000Z",
            "finding": SUSPICIOUS,
        },
    ],
    "corrections": [CORRECTION],
    "simulated": True,
    "bundle": "tiny-int8",
    "hint": "",
}


def _line(number: int) -> dict[str, Any]:
    closed = number > 0
    found = [None, SUSPICIOUS, FINDING | {"finding": "benign"}, FINDING | {"finding": "undecided"}][number % 4]
    return {
        "slide": "S-0412" if number == 0 else "Jane-Doe" if number == 3 else f"S-{411 - number:04}",
        "state": "closed" if closed else "open",
        "fields": 16 + number,
        "entry": 500 - number,
        "utc": f"2026-11-{30 - number:02}T08:00:00.000Z",
        "by": "anna",
        "finding": found if closed else None,
        "hint": "'Jane-Doe' has two words like a name" if number == 3 else "",
    }


def _control_slide() -> dict[str, Any]:
    values = [230.5 + 0.6 * math.sin(n * 1.7) - (0.12 * (n - 20) if n > 20 else 0) for n in range(1, 31)]
    kinds = [
        "baseline" if n <= 20 else "out" if n in (29, 30) else "warning" if n == 28 else "in" for n in range(1, 31)
    ]
    points = [
        {
            "number": n,
            "utc": f"2026-11-{n:02}T07:00:00Z",
            "value": values[n - 1],
            "z": (values[n - 1] - 230.5) / 0.5,
            "kind": kinds[n - 1],
            "rules": ["2-2s"] if n >= 29 else [],
        }
        for n in range(1, 31)
    ]
    charts = [
        {
            "measure": name,
            "words": name,
            "unit": unit,
            "target": {"mean": 230.5, "sd": 0.5},
            "points": points,
            "earlier": 0,
            "said": ["brightness falls by 0.15 grey level a control"] if name == "brightness" else [],
        }
        for name, unit in (("brightness", "grey level"), ("white", ""), ("focus", "px"))
    ]
    return {
        "slide": "QC-1",
        "lot": "7",
        "bundle": "tiny-int8",
        "camera": "picamera2:0",
        "controls": 30,
        "earlier": 0,
        "utc": "2026-11-30T07:00:00Z",
        "outcome": "failed",
        "why": "brightness: 2-2s",
        "charts": charts,
    }


def _trends() -> dict[str, Any]:
    points = [{"utc": f"2026-11-{day:02}T08:00:00Z", "part": 1 - 0.003 * day} for day in range(1, 31)]
    measures = [
        {
            "name": name,
            "words": name,
            "reference": 230.0,
            "limit": 0.1,
            "part": 0.91,
            "a_week": -0.021,
            "days": 4.3,
            "warns": name == "brightness",
            "beyond": False,
            "text": "",
            "points": points,
        }
        for name in ("brightness", "focus")
    ]
    return {
        "setup": "0" * 64,
        "set_up": "2026-11-01T08:00:00Z",
        "why": "",
        "cure": "clean lamp and optics, or change the lamp",
        "measures": measures,
    }


DEVICE = {
    "at": "2026-11-30T08:00:00Z",
    "state": "warning",
    "findings": [
        {"name": "disk", "state": "ok", "found": "21.4 GiB free of 29.1", "cure": ""},
        {"name": "self-test", "state": "warning", "found": "last passed 9 days ago", "cure": "run `edge selftest`"},
        {
            "name": "clock",
            "state": "missing",
            "found": "not synchronized",
            "cure": "connect the network, or set the clock",
        },
        {"name": "temperature", "state": "unknown", "found": "no sensor", "cure": ""},
    ],
    "selftest": {
        "utc": "2026-11-21T08:00:00Z",
        "outcome": "passed",
        "detail": "20 golden images",
        "bundle": "tiny-int8",
        "age_s": 777600.0,
    },
    "bundle": {
        "name": "tiny-int8",
        "digest": "ab" * 32,
        "version": 3,
        "signed_by": "a1b2c3d4",
        "certified": True,
        "synthetic_certificate": True,
        "acceptance": "not accepted at any site",
        "runtime": "litert 2.3.0",
        "since": "2026-11-30T07:00:00Z",
    },
    "software": "leukoscope 0.1.0",
    "temperature_c": 51.2,
    "disk": {"free_bytes": 22978035712, "total_bytes": 31245860864},
    "clock": {"utc": "2026-11-30T08:00:00Z", "synchronized": False},
    "uptime_s": 93000.0,
}
USERS = [
    {
        "name": "anna",
        "role": "administer",
        "pending": False,
        "created": "2026-11-01T08:00:00+00:00",
        "seen": "2026-11-30T08:00:00+00:00",
    },
    {"name": "night-shift", "role": "operate", "pending": True, "created": "2026-11-02T08:00:00+00:00", "seen": None},
]
TOKENS = [
    {
        "id": "t1",
        "owner": "anna",
        "label": "lims",
        "role": "look",
        "created": "2026-11-01T08:00:00+00:00",
        "expires": "2027-01-30T08:00:00+00:00",
        "used": None,
    }
]
AUDIT = [
    {
        "number": 2,
        "utc": "2026-11-30T08:00:00+00:00",
        "what": "login",
        "by": "anna",
        "address": "192.0.2.9",
        "detail": "",
    },
    {
        "number": 1,
        "utc": "2026-11-30T07:59:00+00:00",
        "what": "login-failed",
        "by": MARKUP,
        "address": "192.0.2.9",
        "detail": "wrong name or password",
    },
]
