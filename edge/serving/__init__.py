"""Serving: which bundle runs, its interpreter, its self-tests, and when another one takes over."""

__all__ = [
    "boot",
    "bundle_watch",
    "interpreter",
    "isolation",
    "judges",
    "licensing",
    "rejudging",
    "run_info",
    "selftest",
    "selftest_schedule",
    "selftest_state",
    "serve",
    "slot_watch",
    "trust_watch",
]
