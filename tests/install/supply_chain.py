"""What a device runs, as an inventory (CycloneDX), and whether any of it is known to be vulnerable (pip-audit).

    python -m tests.install.supply_chain sbom    build/sbom/leukoscope-RELEASE-MACHINE.cdx.json for each kind of device
    python -m tests.install.supply_chain audit   asks the OSV service about every package of them

Both read requirements/device.lock: what install.sh installs, and nothing else. The audit ends with 1 when a package is
known to be vulnerable. Where nobody answers it says so and ends with 0: a site, or a build server, without that
service is not a vulnerable one. LEUKOSCOPE_OSV_URL names another service of the same kind; LEUKOSCOPE_AUDIT=required
makes silence an error (4).
"""

import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.paths import ROOT

LOCK = ROOT / "requirements" / "device.lock"
LINES_FOR = ROOT / "firmware_scripts" / "offline" / "lines_for.py"
DEVICES = {  # name -> Python and machine
    "bookworm-aarch64": ("3.11", "aarch64"),
    "trixie-aarch64": ("3.13", "aarch64"),
    "bookworm-x86_64": ("3.11", "x86_64"),
    "trixie-x86_64": ("3.13", "x86_64"),
}
DONE, VULNERABLE, NO_ANSWER = 0, 1, 4
# How pip-audit ends when the service cannot be reached or does not speak its language.
SILENCE = re.compile(
    r"ConnectionError|ConnectTimeout|ReadTimeout|ServiceError|HTTPError|JSONDecodeError|ProxyError|SSLError"
)


def locked(python: str, machine: str, lock: Path = LOCK) -> str:
    """The lines of the lock for a device, as install.sh's offline folder has them."""
    words = [sys.executable, str(LINES_FOR), str(lock), python, machine]
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout


def sbom(folder: Path, lock: Path = LOCK) -> list[Path]:
    """One CycloneDX JSON file a kind of device, validated by the tool that writes it, the same for the same lock.

    Raises:
        RuntimeError: cyclonedx-py could not; what it said.
    """
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    with tempfile.TemporaryDirectory() as work:
        for name, (python, machine) in DEVICES.items():
            lines, to = Path(work) / f"{name}.txt", folder / f"leukoscope-{name}.cdx.json"
            lines.write_text(locked(python, machine, lock), encoding="utf-8")
            words = [
                "requirements",
                "--pyproject",
                str(ROOT / "pyproject.toml"),
                "--output-reproducible",
                "--sv",
                "1.6",
            ]
            done = _tool("cyclonedx-py", *words, "--of", "JSON", "-o", str(to), str(lines))
            if done.returncode:
                raise RuntimeError(f"cyclonedx-py: {done.stderr.strip()[-2000:]}")
            written.append(to)
    return written


def audit(url: str = "", lock: Path = LOCK, required: bool = False) -> int:
    """Ask about every package; the exit code, after what was found was printed."""
    found: dict[str, str] = {}
    asked: set[str] = set()
    with tempfile.TemporaryDirectory() as work:
        for name, (python, machine) in DEVICES.items():
            lines, to = Path(work) / f"{name}.txt", Path(work) / f"{name}.json"
            lines.write_text(locked(python, machine, lock), encoding="utf-8")
            words = ["-r", str(lines), "--require-hashes", "--disable-pip", "--progress-spinner", "off"]
            words += ["-s", "osv", *(["--osv-url", url] if url else []), "-f", "json", "-o", str(to), "--timeout", "10"]
            done = _tool("pip-audit", *words)
            if not to.is_file():
                last = (done.stderr.strip().splitlines() or ["pip-audit said nothing"])[-1]
                if SILENCE.search(done.stderr):
                    print(f"audit: no answer from the advisory service, nothing was audited: {last[:200]}")
                    return NO_ANSWER if required else DONE
                print(f"error: pip-audit ended with {done.returncode}: {last}", file=sys.stderr)
                return VULNERABLE
            report = json.loads(to.read_text(encoding="utf-8"))
            asked |= {f"{each['name']} {each['version']}" for each in report["dependencies"]}
            found |= vulnerabilities(report)
    for package, what in sorted(found.items()):
        print(f"error: {package} is known to be vulnerable: {what}", file=sys.stderr)
    print(f"audit: {len(asked)} packages of the device's lock, {len(found)} vulnerable")
    return VULNERABLE if found else DONE


def vulnerabilities(report: dict[str, Any]) -> dict[str, str]:
    """Package and version -> the advisories about it and the versions that mend them."""
    said = {}
    for each in report["dependencies"]:
        if each["vulns"]:
            advisories = (
                f"{v['id']} (mended in {', '.join(v['fix_versions']) or 'no version'})" for v in each["vulns"]
            )
            said[f"{each['name']} {each['version']}"] = "; ".join(advisories)
    return said


def _tool(name: str, *words: str) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).with_name(name)
    return subprocess.run([str(program), *words], capture_output=True, text=True, check=False)


def main(words: list[str]) -> int:
    """`sbom` or `audit`."""
    if words == ["sbom"]:
        for path in sbom(ROOT / "build" / "sbom"):
            document = json.loads(path.read_text(encoding="utf-8"))
            print(f"{path.relative_to(ROOT)}: {len(document['components'])} components")
        return DONE
    if words == ["audit"]:
        return audit(
            os.environ.get("LEUKOSCOPE_OSV_URL", ""), required=os.environ.get("LEUKOSCOPE_AUDIT") == "required"
        )
    print("error: usage: python -m tests.install.supply_chain sbom|audit", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
