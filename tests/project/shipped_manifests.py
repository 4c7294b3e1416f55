"""edge/bundle/shipped_manifests.json from the bundles that ship: `python -m tests.project.shipped_manifests --write`.

A machine that holds no key runs these bundles and no others. Without --write it says whether the file is current.
"""

import hashlib
import json
import sys

from edge.bundle.policy import MANIFEST, SHIPPED_MANIFESTS
from models.data.published import bundles


def current() -> str:
    """What the file has to hold."""
    found = {
        manifest.parent.name: hashlib.sha256(manifest.read_bytes()).hexdigest()
        for manifest in sorted(bundles().glob(f"*/{MANIFEST}"))
    }
    return json.dumps(found, indent=1) + "\n"


if __name__ == "__main__":
    if sys.argv[1:] == ["--write"]:
        SHIPPED_MANIFESTS.write_text(current(), encoding="utf-8")
    elif SHIPPED_MANIFESTS.read_text(encoding="utf-8") != current():
        sys.exit(f"{SHIPPED_MANIFESTS.name} is not of these bundles: python -m tests.project.shipped_manifests --write")
