"""What `--version` says: the release, its commit where that is known, and what would judge a frame here."""

import json
import platform
import subprocess
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from edge.bundle.policy import INSTALLATION, SHIPPED_MANIFESTS
from edge.inference.runtime.runtimes import RUNTIMES

_PACKAGES = {  # of each runtime
    "litert": ("ai-edge-litert",),
    "tflite_runtime": ("tflite-runtime",),
    "tf_lite": ("tensorflow-cpu", "tensorflow"),
}
_GIT_S = 5.0


def version_record(command: str) -> dict[str, Any]:
    """Of `COMMAND --version --json`: `command`, `version`, `commit` (null where it is not known; `+changes` follows it
    where files differ from it), `python`, `interpreter` (the one that runs, null where none is installed) and `bundles`
    (name to sha256 of the manifest of those that ship).
    """
    return {
        "command": command,
        "version": metadata.version("leukoscope"),
        "commit": commit(INSTALLATION),
        "python": platform.python_version(),
        "interpreter": _interpreter(),
        "bundles": json.loads(SHIPPED_MANIFESTS.read_text(encoding="utf-8")),
    }


def version_text(record: Mapping[str, Any]) -> str:
    """One line: `edge 0.1.0 (commit 0123456789ab)`."""
    known = f" (commit {record['commit']})" if record["commit"] else ""
    return f"{record['command']} {record['version']}{known}"


def commit(checkout: Path) -> str | None:
    """The commit of a checkout, twelve digits, or the one that pip installed from a repository; None for neither."""
    if (checkout / ".git").exists():
        found = _git(checkout, "rev-parse", "--short=12", "HEAD")
        if found:
            changed = _git(checkout, "status", "--porcelain", "--untracked-files=no")
            return f"{found}+changes" if changed else found
    recorded = metadata.distribution("leukoscope").read_text("direct_url.json")  # PEP 610
    installed = json.loads(recorded).get("vcs_info", {}).get("commit_id") if recorded else None
    return str(installed)[:12] if installed else None


def _git(checkout: Path, *words: str) -> str:
    """What git says; "" where there is none, or it refuses."""
    try:
        done = subprocess.run(
            ["git", "-C", str(checkout), *words], capture_output=True, text=True, check=False, timeout=_GIT_S
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def _interpreter() -> str | None:
    for runtime in RUNTIMES:
        for package in _PACKAGES[runtime]:
            try:
                return f"{runtime} {metadata.version(package)}"
            except metadata.PackageNotFoundError:
                continue
    return None
