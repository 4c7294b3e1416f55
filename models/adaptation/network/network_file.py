"""The file of an adapted network: equal networks give equal bytes, whenever they are written."""

import io
import json
import tempfile
import zipfile
from pathlib import Path
from typing import Any

_DATE = (1980, 1, 1, 0, 0, 0)
_METADATA = "metadata.json"


def network_bytes(network: Any) -> bytes:
    """A `.keras` archive without the date that Keras puts into it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        network.save(path)
        with zipfile.ZipFile(path) as archive:
            members = {name: archive.read(name) for name in sorted(archive.namelist())}
    members[_METADATA] = json.dumps(json.loads(members[_METADATA]) | {"date_saved": ""}).encode()
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, data in members.items():
            archive.writestr(zipfile.ZipInfo(name, _DATE), data)
    return stream.getvalue()
