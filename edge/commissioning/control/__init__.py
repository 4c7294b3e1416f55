"""The daily control: a control slide measured, judged by Westgard's rules, and what a run demands of it."""

__all__ = [
    "camera_lease",
    "charts",
    "control_record",
    "expiry",
    "measures",
    "report",
    "series",
    "settings",
    "standing",
    "take",
    "targets",
    "watch",
]
