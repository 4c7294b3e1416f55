"""Python, the libraries, and the interpreters with their kind."""

import sys
from collections.abc import Sequence

from edge.settings.trusted_keys import machine_keys
from edge.system.machine import Finding, Machine, Probe

OLDEST, TOO_NEW = (3, 11), (3, 14)
_INSTALL = "pip install '.[device]' in a clone of Leukoscope"


def python(machine: Machine) -> Sequence[Finding]:
    """The Python that runs this."""
    version = ".".join(str(n) for n in sys.version_info[:3])
    if OLDEST <= sys.version_info[:2] < TOO_NEW:
        return [Finding("Python", "ok", f"{version}, {machine.bits} bits")]
    return [Finding("Python", "warning", version, "use Python 3.11, 3.12 or 3.13: the only ones it was tried with")]


def numpy(machine: Machine) -> Sequence[Finding]:
    """NumPy loads and computes."""
    import numpy as np

    if int(np.arange(256, dtype=np.uint8).sum()) != 32640:
        return [Finding("NumPy", "missing", f"{np.__version__} adds wrongly", f"{_INSTALL} again, on a sound disk")]
    return [Finding("NumPy", "ok", np.__version__)]


def opencv(machine: Machine) -> Sequence[Finding]:
    """OpenCV loads, and shrinks a frame and makes it grey to the bytes it gives everywhere."""
    try:
        import cv2
        import numpy as np

        from edge.inference.contract import grey_levels
    except ImportError as error:
        return [Finding("OpenCV", "missing", f"cannot be imported: {error}", f"{_INSTALL}")]
    ramp = np.arange(16 * 16 * 3, dtype=np.uint32).reshape(16, 16, 3) * 37 % 256
    half = cv2.resize(ramp.astype(np.uint8), (8, 8), interpolation=cv2.INTER_AREA)
    mean = (ramp.reshape(8, 2, 8, 2, 3).sum(axis=(1, 3)) + 2) // 4
    red, green, blue = ramp.transpose(2, 0, 1).astype(np.int64)
    grey = (9798 * red + 19235 * green + 3735 * blue + 16384) >> 15
    if not np.array_equal(half, mean) or not np.array_equal(grey_levels(ramp.astype(np.uint8))[..., 0], grey):
        cure = f"install the version this package asks for: {_INSTALL}"
        return [Finding("OpenCV", "warning", f"{cv2.__version__} rounds otherwise than the tested ones", cure)]
    return [Finding("OpenCV", "ok", cv2.__version__)]


def jpeg(machine: Machine) -> Sequence[Finding]:
    """simplejpeg loads, reads a JPEG to the pixels that OpenCV gives, and refuses the same one with a hole in it."""
    try:
        import cv2
        import numpy as np
        import simplejpeg
    except (ImportError, ValueError) as error:  # ValueError: built for another numpy
        return [Finding("simplejpeg", "missing", f"cannot be imported: {error}", _INSTALL)]
    from edge.errors import ImageFileError
    from edge.inference.images import decode_image

    noise = np.random.default_rng(0).integers(0, 256, (96, 128, 3), np.uint8)
    sound = cv2.imencode(".jpg", noise)[1].tobytes()
    cure = f"install the version this package asks for: {_INSTALL}"
    if not np.array_equal(decode_image(sound, "")[..., ::-1], cv2.imdecode(np.frombuffer(sound, np.uint8), 1)):
        found = f"{simplejpeg.__version__} gives other pixels than OpenCV: JPEG files get other answers than certified"
        return [Finding("simplejpeg", "warning", found, cure)]
    middle = len(sound) // 2
    try:
        decode_image(sound[:middle] + bytes(600) + sound[middle + 600 :], "")
    except ImageFileError:
        return [Finding("simplejpeg", "ok", simplejpeg.__version__)]
    return [Finding("simplejpeg", "missing", f"{simplejpeg.__version__} reads damaged JPEGs without a word", cure)]


def interpreter(runtime: str) -> Probe:
    """The probe of one TFLite interpreter: it opens the bundle's model and replays its golden inputs."""

    def probe(machine: Machine) -> Sequence[Finding]:
        from edge.bundle import bundle as bundles
        from edge.errors import EdgeError, InterpreterUnavailable
        from edge.inference.runtime.interpreters import available_runtimes, open_interpreter
        from edge.serving.serve import default_bundle

        name = interpreter_name(runtime)
        if runtime not in available_runtimes():
            return [Finding(name, "ok", "not installed; one interpreter is enough")]
        bundle = bundles.load(
            machine.bundle or default_bundle(), trust=machine_keys(), allow_uncertified=True, allow_unsigned=True
        )
        try:
            opened = open_interpreter(bundle.model, runtime=runtime)
        except InterpreterUnavailable as error:
            return [Finding(name, "warning", str(error), f"{_INSTALL}, or uninstall it: it is tried in its turn")]
        version = f"{opened.version}, {opened.kind} arithmetic"
        try:
            replay = bundles.require_golden(bundle, opened)
        except EdgeError as error:
            return [Finding(name, "warning", f"{version}: {error}", "name another with --runtime, or reinstall it")]
        same = replay.images - len(replay.differing)
        kind = bundles.certified_kind(bundle.certificate) or "unknown"
        found = f"{same} of {replay.images} golden outputs identical, the others within {replay.max_difference} LSB"
        if same == replay.images:
            found = f"all {same} golden outputs identical"
        return [Finding(name, "ok", f"{version} ({bundle.name} was certified with {kind}): {found}")]

    return probe


def interpreter_name(runtime: str) -> str:
    """The name of the finding on a runtime."""
    return f"interpreter {runtime}"


def any_interpreter(findings: Sequence[Finding]) -> list[Finding]:
    """A finding that is missing when none of the interpreters' findings says that it answers; else nothing."""
    tried = [f for f in findings if f.name.startswith(interpreter_name(""))]
    if any(f.state == "ok" and "arithmetic" in f.found for f in tried):
        return []
    return [Finding("interpreter", "missing", "none that answers as certified", _INSTALL)]
