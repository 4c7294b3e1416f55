"""The `edge run` command; its request, which does the work, is imported when it is made."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, cast

from edge.errors import UsageError
from edge.system.option_values import one_of, optional_path, whole_number

if TYPE_CHECKING:
    from edge.commands.run_session import RunRequest


def run(
    camera: str = "",
    bundle: str = "",
    slide: str = "",
    frames: str = "",
    every: bool = False,
    keep: str = "",
    store: str = "",
    config: str = "",
    runtime: str = "",
    threads: str = "",
    edgetpu: str = "",
    json: bool = False,
    allow_uncertified: bool = False,
    allow_unsigned: bool = False,
    ungated: bool = False,
    socket: str = "",
) -> "RunRequest":
    """Judge a camera's frames and record every verdict. Research use only: no verdict here is a diagnosis.

    Frames that cannot be judged are refused with the reason; both are recorded. A verdict is printed once it is
    stored. Ends after FRAMES, at the end of a replay, or on Ctrl-C or SIGTERM, with everything stored.

    Args:
        camera: picamera2:N, uvc:/dev/videoN, replay:PATH, or sim: (a drawn slide, the default).
        bundle: folder of a model with its certificate; the shipped mobilenet_v2-int8 when left out.
        slide: name of the slide under the microscope; unnamed when left out. At the bench: opened at once.
        frames: judged frames to end after; until stopped when left out.
        every: judge every frame, however long it takes, instead of the newest (a replay always does).
        keep: images to store: every, second (one a second at most) or none.
        store: folder of the record.
        config: profile; /etc/leukoscope/edge.toml where it exists. Options here come before it.
        runtime: litert, tflite_runtime or tf_lite; the first that is installed when left out.
        edgetpu: usb, pci, usb:N or pci:N: run the model compiled for the Edge TPU there; the CPU when left out.
        threads: for one inference.
        json: print one JSON object a stored verdict.
        allow_uncertified: use a bundle whose certificate does not say "pass".
        allow_unsigned: use a bundle that no key trusted here signed; every record of it says so.
        ungated: judge every frame, whatever the bundle's gates say; every record says so. For a bundle without gates.
        socket: the bench: listen there for the page's commands, which open slides and ask for fields; frames that
            nobody asks for are shown and not judged. The profile's when left out; none: without it all the same.
    """
    from edge.cameras.backends import open_camera
    from edge.commands.run_session import RunRequest
    from edge.record.entries import require_slide
    from edge.record.image_sampling import KEEP, Keep
    from edge.settings.profile import load

    settings = load(optional_path(config)).with_options(
        bundle=bundle, runtime=runtime, threads=threads, edgetpu=edgetpu, store=store, ungated=ungated
    )
    if keep:
        record = replace(settings.record, keep=cast(Keep, one_of(keep, "--keep", KEEP)))
        settings = replace(settings, record=record)
    settings = replace(settings, camera_uri=camera or settings.camera_uri)
    path = None if socket == "none" else Path(socket) if socket else settings.bench.socket
    if path is None:
        slide = slide or "unnamed"
    else:
        _require_bench(settings.camera_uri, {"--frames": bool(frames), "--every": every, "--keep": bool(keep)})
    try:
        if slide:
            require_slide(slide)
    except ValueError as error:
        raise UsageError(f"--{error}") from None
    open_camera(settings.camera_uri)  # a camera that cannot be named is a wrong request: nothing is opened yet
    return RunRequest(
        settings=settings,
        slide=slide,
        frames=whole_number(frames, "--frames", at_least=1) if frames else None,
        every=every,
        json=json,
        allow_uncertified=allow_uncertified,
        allow_unsigned=allow_unsigned,
        socket=path,
    )


def _require_bench(camera: str, given: dict[str, bool]) -> None:
    """UsageError for what the bench cannot be asked for."""
    if option := next((option for option, is_given in given.items() if is_given), ""):
        raise UsageError(
            f"{option} is of a run without a socket: at the bench commands say which fields are judged, and each keeps "
            "its image; --socket none runs without the profile's"
        )
    if camera.startswith("replay:"):
        raise UsageError(f"--camera must be a live one at the bench; got {camera}; --socket none replays it")
