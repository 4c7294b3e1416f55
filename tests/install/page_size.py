"""What the bench page adds to a device: files that its lock installs and the device's does not, by release and machine.

python -m tests.install.page_size            # writes docs/reference/page-size.json, and its line in the how-to
"""

import json
import re
import sys
import tempfile
from pathlib import Path

from tests.install.device_lock import LOCK, install_into, locked
from tests.paths import ROOT

PAGE_LOCK = LOCK.with_name("page.lock")
RECORD = ROOT / "docs/reference/page-size.json"
HOW_TO = ROOT / "docs/how-to/use-the-bench-page.md"
CASES = (("bookworm", "3.11", "aarch64"), ("trixie", "3.13", "aarch64"))


def sizes(python: str, machine: str) -> tuple[int, int, int]:
    """(bytes of the device's files, bytes that the page's lock adds, packages that it adds); without bytecode.

    Raises:
        RuntimeError: pip could not.
    """
    found = []
    names = []
    with tempfile.TemporaryDirectory() as folder:
        for lock in (LOCK, PAGE_LOCK):
            lines = Path(folder) / lock.name
            lines.write_text(locked(python, machine, lock))
            names.append(set(re.findall(r"^([A-Za-z0-9_.-]+)==", lines.read_text(), re.M)))
            target = Path(folder) / lock.stem
            install_into(target, lines, python, machine, "--require-hashes")
            found.append(sum(path.stat().st_size for path in target.rglob("*") if path.is_file()))
    return found[0], found[1] - found[0], len(names[1] - names[0])


def line(record: dict[str, list[dict[str, object]]]) -> str:
    """The figures as the how-to says them."""
    said = [
        f"{case['added_mb']} MB in {case['packages']} packages on {case['release']}, beside {case['device_mb']} MB"
        for case in record["cases"]
    ]
    return f"It adds {'; '.join(said)}."


def main() -> int:
    """Measure every case and write both files."""
    cases = []
    for release, python, machine in CASES:
        device, added, packages = sizes(python, machine)
        cases.append(
            {
                "release": release,
                "python": python,
                "machine": machine,
                "device_mb": round(device / 1e6),
                "added_mb": round(added / 1e6),
                "packages": packages,
            }
        )
    record: dict[str, list[dict[str, object]]] = {"cases": cases}
    RECORD.write_text(json.dumps({"command": "python -m tests.install.page_size", **record}, indent=2) + "\n")
    text = HOW_TO.read_text()
    HOW_TO.write_text(with_line(text, line(record)))
    print(line(record))
    return 0


def with_line(text: str, said: str) -> str:
    """The how-to with the line between its marks.

    >>> with_line("a <!-- size:begin -->x<!-- size:end --> b", "y")
    'a <!-- size:begin -->\\ny\\n<!-- size:end --> b'
    """
    marks = r"(<!-- size:begin -->).*?(<!-- size:end -->)"
    changed, count = re.subn(marks, lambda found: f"{found[1]}\n{said}\n{found[2]}", text, flags=re.S)
    if count != 1:
        raise ValueError(f"{HOW_TO}: expected one pair of marks; found {count}")
    return changed


if __name__ == "__main__":
    sys.exit(main())
