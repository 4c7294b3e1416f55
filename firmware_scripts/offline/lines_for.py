"""The lines of a lock file that hold for a Python on a Linux machine: `lines_for.py device.lock 3.13 aarch64`.

pip reads environment markers for the Python that runs it, whatever --python-version says. The markers of a lock
are comparisons joined by "and" and "or"; pip's own copy of `packaging` reads them, so nothing needs to be installed.
"""

import re
import sys
from pathlib import Path

from pip._vendor.packaging.markers import Marker


def lines_for(text: str, python: str, machine: str) -> str:
    """The entries that hold, without their markers, hashes included."""
    environment = {
        "python_version": python,
        "python_full_version": f"{python}.0",
        "platform_machine": machine,
        "sys_platform": "linux",
        "platform_system": "Linux",
        "os_name": "posix",
        "implementation_name": "cpython",
        "platform_python_implementation": "CPython",
    }
    kept = []
    for entry in re.split(r"\n(?=\S)", re.sub(r"^\s*#.*\n?", "", text, flags=re.MULTILINE).strip()):
        requirement, *hashes = entry.split("\\\n")
        name, _, marker = requirement.partition(";")
        if not marker.strip() or Marker(marker.strip()).evaluate(environment):
            kept.append(" \\\n    ".join([name.strip(), *(line.strip() for line in hashes)]))
    return "\n".join(kept) + "\n"


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit("usage: lines_for.py LOCK PYTHON MACHINE")
    print(lines_for(Path(sys.argv[1]).read_text(encoding="utf-8"), sys.argv[2], sys.argv[3]), end="")
