"""The choice of a file of backbone weights for each width: tried, since nothing in such a file says its width."""

from collections.abc import Sequence
from pathlib import Path

from convert.errors import ParetoError
from convert.pareto.grid import OWN_SIZE, VARIED


def fitting(files: Sequence[Path], widths: Sequence[float]) -> dict[float, Path]:
    """For every width the first of the files that the backbone takes at that width.

    Raises:
        ParetoError: a file is missing, or a width has none; the message says why the last one does not fit.
    """
    missing = [str(file) for file in files if not file.is_file()]
    if missing:
        raise ParetoError(f"--weights must name files of backbone weights (.h5); there is no {', '.join(missing)}")
    if widths and not files:
        raise ParetoError(
            f"width {widths[0]:g} needs ImageNet weights of {VARIED}'s backbone at that width: give --weights FILE.h5"
        )
    return {width: _first(files, width) for width in widths}


def _first(files: Sequence[Path], width: float) -> Path:
    from models.networks.architectures import mobilenet_v2
    from models.networks.loading import first_line
    from models.support.quiet_tensorflow import import_tensorflow

    import_tensorflow()
    reason = ""
    for file in files:
        try:
            mobilenet_v2((OWN_SIZE, OWN_SIZE), alpha=width, weights=file)
            return file
        except Exception as error:  # Keras raises whatever a damaged archive makes h5py and zipfile raise
            reason = first_line(error)
    raise ParetoError(f"none of --weights fits {VARIED} at width {width:g}: {reason}")
