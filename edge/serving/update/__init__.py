"""Updates: a new bundle from a folder, stick, web server or TUF repository into the idle one of two slots."""

__all__ = [
    "candidates",
    "repository",
    "rollout",
    "sandboxed_selftest",
    "slots",
    "sources",
    "state",
    "status",
    "trial",
    "updater",
]
