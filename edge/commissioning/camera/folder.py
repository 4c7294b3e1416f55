"""The folder of a set-up: written whole beside older ones, so that the profile's name for it is what counts."""

import shutil
from pathlib import Path

from edge.cameras.setup.camera_setup import FLAT_FIELD_FILE, SETUP_FILE, CameraSetup
from edge.cameras.setup.flat_field import FlatField
from edge.system.durable import Durable

_UNFINISHED = ".unfinished-"


def write_setup(root: Path, setup: CameraSetup, flat_field: FlatField, durable: Durable | None = None) -> Path:
    """Write a set-up into a new folder of `root`, named by its day and digest; older ones stay.

    Returns:
        The folder, durable. Whatever ends the process earlier leaves no folder of that name.

    Raises:
        OSError: it cannot be written.
    """
    durable = durable or Durable()
    target = root / f"{setup.at[:10]}-{setup.digest[:12]}"
    if target.is_dir():
        return target
    if not root.is_dir():
        durable.make_folder("camera", root)
    for left in root.glob(f"{_UNFINISHED}*"):  # of one that was killed
        shutil.rmtree(left, ignore_errors=True)
    staging = root / f"{_UNFINISHED}{target.name}"
    durable.make_folder("staging", staging)
    durable.write_file("flat field", staging / FLAT_FIELD_FILE, flat_field.save(staging / FLAT_FIELD_FILE))
    durable.write_file("set-up", staging / SETUP_FILE, setup.to_json())
    durable.sync_folder("files", staging)
    durable.rename("set-up in place", staging, target)
    return target
