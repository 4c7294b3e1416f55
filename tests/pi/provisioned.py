"""A stock root file system made the instrument by install.sh, without network: how long it took and what it changed.

    python -m tests.pi.provisioned                   # writes docs/reference/provisioning.json and .md

An amd64 root is booted first, and the one command is given to the running system: the service comes up and its own
first verdict ends the command. An arm64 root is not booted (systemd under user emulation has no mount namespaces, so no
sandbox): the command is run in it as it would be in an image, and judges the drawn slide itself. `virtual_board.py`
boots the result with a kernel of its own.
"""

import hashlib
import inspect
import json
import os
import platform
import shutil
import sys
import textwrap
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.paths import ROOT
from tests.pi.binfmt import programs_of_aarch64
from tests.pi.build_root import DEFAULT_FOLDER
from tests.pi.debian import CannotBuildError, once
from tests.pi.machine import Done, over
from tests.pi.offline_folder import Offline, offline_folder
from tests.pi.signed_bundles import INSIDE, Bundles, signed_bundles
from tests.pi.stock_root import stock

MEDIA = "/media/offline"
CASES = (("trixie", "arm64"), ("trixie", "amd64"), ("bookworm", "amd64"))
TIMES = ROOT / "docs" / "reference" / "provisioning.json"
# What a running system writes by itself, left out when two moments are compared: its clock, its log, its random seed,
# apt's and systemd's own state, and the record, into which the service writes what it sees.
VOLATILE = (
    *("dev", "proc", "run", "sys", "tmp", "media", "var/tmp", "var/log", "var/lib/systemd", "var/cache/ldconfig"),
    *("etc/machine-id", "etc/fake-hwclock.data", "var/lib/fake-hwclock", "var/lib/leukoscope/record"),
)


@dataclass(frozen=True)
class Provisioned:
    """An installed machine.

    Attributes:
        lower: file systems to lay a new one over, the topmost first.
        facts: `seconds` and `seconds_again` of the command, what it said (`said`, `said_again`), and what the second
            run changed (`changed`: path -> what).
    """

    release: str
    architecture: str
    lower: tuple[Path, Path]
    facts: dict[str, Any]


def provisioned(release: str, architecture: str) -> Provisioned:
    """Installed anew where the checkout changed; kept otherwise.

    Raises:
        CannotBuildError: this machine lacks what it takes.
        AssertionError: install.sh failed.
    """
    below, offline, bundles = stock(release, architecture), offline_folder(release, architecture), signed_bundles()
    target = DEFAULT_FOLDER / "provisioned" / f"{release}-{architecture}"
    how = "".join(map(inspect.getsource, (_install, _twice, listing, command)))
    recipe = f"{offline.digest} {below.with_suffix('.recipe').read_text()} {VOLATILE} {how}"
    once(target, recipe, lambda to: _install(to, below, offline, bundles, architecture))
    facts = json.loads((target / "facts.json").read_text())
    return Provisioned(release, architecture, (target / "upper", below), facts)


def command(offline: Offline, *more: str) -> tuple[str, ...]:
    """The one command."""
    return ("bash", f"{MEDIA}/firmware_scripts/install.sh", "--offline", MEDIA, "--digest", offline.digest, *more)


def binds(offline: Offline, bundles: Bundles) -> list[str]:
    """What a machine is lent: the offline folder and the site's bundles, both read-only."""
    return [f"{offline.path}:{MEDIA}", f"{bundles.path}:{INSIDE}"]


def _install(target: Path, below: Path, offline: Offline, bundles: Bundles, architecture: str) -> None:
    target.mkdir(parents=True)
    trust = ("--trust", bundles.public_key, "--bundle", bundles.inside("1"))
    words = command(offline, "--camera", "sim:?fps=10", *trust, "--first-verdict")
    lent = binds(offline, bundles)
    with programs_of_aarch64() if architecture == "arm64" else nullcontext(), over([below], target) as root:
        if architecture == "arm64":
            facts = _twice(lambda: root.run(*words, binds=lent, code=None), root.path)
        else:
            with root.booted(lent) as machine:
                facts = _twice(lambda: machine.run(*words, code=None), root.path)
    (target / "facts.json").write_text(json.dumps(facts, indent=1))
    shutil.rmtree(target / "root", ignore_errors=True)


def _twice(install: Callable[[], Done], root: Path) -> dict[str, Any]:
    start = time.monotonic()
    first = install()
    seconds = time.monotonic() - start
    assert first.returncode == 0, f"install.sh: {first.returncode}\n{first.stdout[-2500:]}\n{first.stderr[-2500:]}"
    before = listing(root)
    start = time.monotonic()
    again = install()
    seconds_again = time.monotonic() - start
    after = listing(root)
    return {
        "seconds": seconds,
        "seconds_again": seconds_again,
        "said": first.stdout,
        "complained": first.stderr,
        "code_again": again.returncode,
        "said_again": again.stdout,
        "listed": len(before),
        "changed": {
            p: [before.get(p), after.get(p)] for p in before.keys() | after.keys() if before.get(p) != after.get(p)
        },
    }


def listing(root: Path) -> dict[str, str]:
    """Path -> kind, mode, owner, size and sha256 (or target) of everything that is not volatile."""
    found = {}
    for folder, names, files in os.walk(root):
        inside = Path(folder).relative_to(root)
        names[:] = [name for name in names if (inside / name).as_posix() not in VOLATILE]
        for name in (*names, *files):
            path = Path(folder) / name
            if (inside / name).as_posix() in VOLATILE:
                continue
            status = path.lstat()
            told = f"{status.st_mode:o} {status.st_uid}:{status.st_gid}"
            if path.is_symlink():
                told += f" -> {path.readlink()}"
            elif path.is_file():
                told += f" {status.st_size} {hashlib.sha256(path.read_bytes()).hexdigest()}"
            found[(inside / name).as_posix()] = told
    return found


def page(record: dict[str, Any]) -> str:
    """docs/reference/provisioning.md, from what is in provisioning.json."""
    lines = [
        "# How long provisioning takes",
        "",
        _wrapped(
            f"Written by `{record['command']}` from `provisioning.json`, measured on {record['machine']}. The command "
            "is `install.sh --offline FOLDER --digest HEX --trust KEY --bundle SIGNED --first-verdict`, without "
            "network, in a stock root file system; it ends with a stored verdict. Then the same command again."
        ),
        "",
        "| release | architecture | how | first verdict after | again | the second changed | offline folder |",
        "|---|---|---|---|---|---|---|",
    ]
    for case in record["cases"]:
        how = "booted: the service's own verdict" if case["booted"] else "not booted, emulated"
        changed = f"{case['changed_again']} of {case['paths_compared']} paths"
        lines.append(
            f"| {case['release']} | {case['architecture']} | {how} | {case['first_verdict_s']:.0f} s | "
            f"{case['again_s']:.0f} s | {changed} | {case['offline_folder_mb']} MB |"
        )
    lines += [
        "",
        _wrapped(
            "No board was measured: a Pi's card and processor are neither of these. Left out of the comparison is what "
            "a running system writes by itself: " + ", ".join(f"`/{path}`" for path in VOLATILE) + "."
        ),
    ]
    return "\n".join(lines) + "\n"


def _wrapped(text: str) -> str:
    return textwrap.fill(text, 120, break_long_words=False, break_on_hyphens=False)


def main() -> int:
    """Provision every case and write the times."""
    record: dict[str, Any] = {
        "command": "python -m tests.pi.provisioned",
        "machine": f"{os.cpu_count()} {platform.machine()} processors that had other work as well",
        "cases": [],
    }
    for release, architecture in CASES:
        made = provisioned(release, architecture)
        megabytes = sum(p.stat().st_size for p in offline_folder(release, architecture).path.rglob("*") if p.is_file())
        record["cases"].append(
            {
                "release": release,
                "architecture": architecture,
                "booted": architecture != "arm64",
                "first_verdict_s": round(made.facts["seconds"], 1),
                "again_s": round(made.facts["seconds_again"], 1),
                "changed_again": len(made.facts["changed"]),
                "paths_compared": made.facts["listed"],
                "offline_folder_mb": round(megabytes / 1e6),
            }
        )
    TIMES.write_text(json.dumps(record, indent=2) + "\n")
    TIMES.with_suffix(".md").write_text(page(record))
    print(f"{TIMES} and the page beside it written")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except CannotBuildError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(4)
