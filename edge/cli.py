"""The words of the `edge` command."""

import sys
import traceback

from edge.commands.command_line import DEFECT, Command, Request
from edge.commands.command_line import main as run_command

# What a word needs is imported when that word is used: `edge classify` starts without the store and the cameras.


def run(
    camera: str = "",
    bundle: str = "",
    slide: str = "unnamed",
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
) -> Request:
    """Judge a camera's frames and record every verdict. Research use only: no verdict here is a diagnosis.

    Frames that cannot be judged are refused with the reason; both are recorded. A verdict is printed once it is
    stored. Ends after FRAMES, at the end of a replay, or on Ctrl-C or SIGTERM, with everything stored.

    Args:
        camera: picamera2:N, uvc:/dev/videoN, replay:PATH, or sim: (a drawn slide, the default).
        bundle: folder of a model with its certificate; the shipped mobilenet_v2-int8 when left out.
        slide: name of the slide under the microscope.
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
    """
    from edge.commands.run import run_request

    return run_request(
        camera=camera,
        bundle=bundle,
        slide=slide,
        frames=frames,
        every=every,
        keep=keep,
        store=store,
        config=config,
        runtime=runtime,
        edgetpu=edgetpu,
        threads=threads,
        json=json,
        allow_uncertified=allow_uncertified,
        allow_unsigned=allow_unsigned,
    )


def classify(
    *paths: str,
    bundle: str = "",
    threads: str = "",
    runtime: str = "",
    edgetpu: str = "",
    json: bool = False,
    ungated: bool = False,
    config: str = "",
    allow_uncertified: bool = False,
    allow_unsigned: bool = False,
) -> Request:
    """Say what a certified model makes of images. Research use only: no verdict here is a diagnosis.

    One line an image, in the order given, folders searched through and sorted by name. An image that cannot be
    judged (out of focus, empty, ...) gets the reason instead of a class. One that cannot be read gets a line with
    the reason too; the others are classified all the same, and the exit code is 1.

    Args:
        paths: images, or folders of images.
        bundle: folder of a model with its certificate; the shipped mobilenet_v2-int8 when left out.
        threads: for one inference.
        runtime: litert, tflite_runtime or tf_lite; the first that is installed when left out.
        edgetpu: usb, pci, usb:N or pci:N: run the model compiled for the Edge TPU there; the CPU when left out.
        json: print one JSON object an image: path, label, reason, probabilities, latency_ms.
        ungated: ask the model about every image, also those that cannot be judged.
        config: profile; /etc/leukoscope/edge.toml where it exists. Options here come before it.
        allow_uncertified: use a bundle whose certificate does not say "pass".
        allow_unsigned: use a bundle that no key trusted here signed; every record of it says so.
    """
    from edge.commands.classify import classify_request

    return classify_request(
        paths,
        bundle=bundle,
        threads=threads,
        runtime=runtime,
        edgetpu=edgetpu,
        json=json,
        ungated=ungated,
        config=config,
        allow_uncertified=allow_uncertified,
        allow_unsigned=allow_unsigned,
    )


def selftest(
    bundle: str = "",
    runtime: str = "",
    threads: str = "",
    edgetpu: str = "",
    store: str = "",
    trusted: str = "",
    config: str = "",
    json: bool = False,
    allow_uncertified: bool = False,
    allow_unsigned: bool = False,
) -> Request:
    """Prove that this machine answers as its bundle was certified: replay the golden images, and time it.

    Exit code 1 when an image is answered otherwise. An inference far slower than expected is a warning. The outcome is
    kept beside the record, where `edge doctor` shows it. `edge run` does the same at its start and once a day.

    Args:
        bundle: folder of a model with its certificate; the one that would run when left out.
        runtime: litert, tflite_runtime or tf_lite; the first that is installed when left out.
        edgetpu: usb, pci, usb:N or pci:N: run the model compiled for the Edge TPU there; the CPU when left out.
        threads: for one inference.
        store: folder of the record, beside whose files the outcome is kept.
        trusted: folder of trusted keys; the profile's, or the machine's own, when left out.
        config: profile; /etc/leukoscope/edge.toml where it exists. Options here come before it.
        json: print one JSON object: passed, images, differing, invoke_ms, expected_ms, warnings.
        allow_uncertified: use a bundle whose certificate does not say "pass".
        allow_unsigned: use a bundle that no key trusted here signed.
    """
    from edge.commands.selftest import selftest_request

    return selftest_request(
        bundle=bundle,
        runtime=runtime,
        edgetpu=edgetpu,
        threads=threads,
        store=store,
        trusted=trusted,
        config=config,
        json=json,
        allow_uncertified=allow_uncertified,
        allow_unsigned=allow_unsigned,
    )


def verify(store: str = "", json: bool = False) -> Request:
    """Check a record: its chain, its images and its counts. Exit code 1 when something was changed or is missing.

    Args:
        store: folder of the record.
        json: print one JSON object.
    """
    from edge.commands.verify import verify_request

    return verify_request(store=store, json=json)


def export(slide: str, to: str, store: str = "", json: bool = False) -> Request:
    """Write what is recorded of a slide to a folder: CSV, JSON lines, images and checksums.

    Args:
        slide: its name.
        to: folder, new or empty.
        store: folder of the record.
        json: print one JSON object.
    """
    from edge.commands.export import export_request

    return export_request(slide=slide, to=to, store=store, json=json)


def prune(
    store: str = "",
    days: str = "",
    gigabytes: str = "",
    also_unexported: bool = False,
    config: str = "",
    json: bool = False,
) -> Request:
    """Make room in a record: remove the oldest entries and their images, and note in the record that it was done.

    Without DAYS and GIGABYTES the limits are the profile's; a run that goes on applies those itself, and nothing is
    left to do (exit code 0). With them, a record that a run writes to is refused (exit code 4).

    Args:
        store: folder of the record.
        days: keep what is younger.
        gigabytes: keep so much of 10^9 bytes.
        also_unexported: remove also what was never exported.
        config: profile; /etc/leukoscope/edge.toml where it exists. Options here come before it.
        json: print one JSON object.
    """
    from edge.commands.prune import retention_request

    return retention_request(
        store=store,
        days=days,
        gigabytes=gigabytes,
        also_unexported=also_unexported,
        config=config,
        json=json,
    )


def bench(
    bundle: str = "",
    frames: str = "200",
    threads: str = "",
    edgetpu: str = "",
    runtime: str = "",
    mediapipe: str = "",
    figure: str = "",
    config: str = "",
    json: bool = False,
    allow_unsigned: bool = False,
) -> Request:
    """Measure how fast this machine classifies, beside the bare interpreter in one interleaved run.

    Args:
        bundle: folder of a model; the shipped mobilenet_v2-int8 when left out.
        frames: rounds of the measurement.
        threads: for one inference.
        runtime: litert, tflite_runtime or tf_lite; the first that is installed when left out.
        edgetpu: usb, pci, usb:N or pci:N: run the model compiled for the Edge TPU there; the CPU when left out.
        mediapipe: the same network as a uint8 file with metadata, to measure MediaPipe's ImageClassifier beside it.
        figure: PNG file to draw.
        config: profile; /etc/leukoscope/edge.toml where it exists. Options here come before it.
        json: print one JSON object.
        allow_unsigned: use a bundle that no key trusted here signed; the record says so.
    """
    from edge.commands.bench import bench_request

    return bench_request(
        bundle=bundle,
        threads=threads,
        runtime=runtime,
        edgetpu=edgetpu,
        frames=frames,
        mediapipe=mediapipe,
        figure=figure,
        config=config,
        json=json,
        allow_unsigned=allow_unsigned,
    )


def update(
    source: str = "",
    *,
    name: str = "",
    check: bool = False,
    allow_older: bool = False,
    allow_unsigned: bool = False,
    retry: bool = False,
    root: str = "",
    config: str = "",
    slots: str = "",
    trusted: str = "",
    json: bool = False,
) -> Request:
    """Install a bundle into the idle slot: verified, self-tested, switched to, on trial until it served healthily.

    What serves now is left as it is, and comes back by itself when the new one fails. Exit code 0 when it was installed
    or nothing is to be done, 1 when what is offered is refused, 4 when the source or the disk fails or another update
    is under way.

    Args:
        source: a bundle's folder or .zip file, a folder or stick with several, an https URL of a .zip, or the URL of a
            TUF repository; the profile's when left out.
        name: of the bundles wanted; the one that serves when left out.
        check: say what would be installed, and change nothing.
        allow_older: also a version that is not newer.
        allow_unsigned: also a bundle that no key trusted here signed; history and records say so.
        retry: also a bundle that this device went back from.
        root: root metadata of the repository; /etc/leukoscope/tuf/root.json when left out.
        config: profile; /etc/leukoscope/edge.toml where it exists. Options here come before it.
        slots: folder of the slots; /var/lib/leukoscope/bundles when left out.
        trusted: folder of trusted keys; the profile's, or the machine's own, when left out.
        json: print one JSON object.
    """
    from edge.commands.update import update_request

    return update_request(
        source,
        config=config,
        slots=slots,
        trusted=trusted,
        root=root,
        name=name,
        allow_older=allow_older,
        allow_unsigned=allow_unsigned,
        retry=retry,
        check=check,
        json=json,
    )


def rollback(
    why: str = "",
    allow_unsigned: bool = False,
    config: str = "",
    slots: str = "",
    trusted: str = "",
    json: bool = False,
) -> Request:
    """Go back to the bundle in the other slot; the one left is not installed again unless told.

    A running service ends and serves the other one when it is started again. Exit code 1 when there is no other good
    slot.

    Args:
        why: for the history.
        allow_unsigned: also to a bundle that no key trusted here signed.
        config: profile; /etc/leukoscope/edge.toml where it exists.
        slots: folder of the slots; /var/lib/leukoscope/bundles when left out.
        trusted: folder of trusted keys; the profile's, or the machine's own, when left out.
        json: print one JSON object.
    """
    from edge.commands.update import rollback_request

    return rollback_request(
        config=config, slots=slots, trusted=trusted, why=why, allow_unsigned=allow_unsigned, json=json
    )


def slots(
    slots: str = "", trusted: str = "", config: str = "", allow_unsigned: bool = False, json: bool = False
) -> Request:
    """Show both slots: which bundle serves, which is spare, what is on trial, and what happened last.

    Exit code 1 when the bundle that serves does not verify.

    Args:
        slots: folder of the slots; /var/lib/leukoscope/bundles when left out.
        trusted: folder of trusted keys; the profile's, or the machine's own, when left out.
        config: profile; /etc/leukoscope/edge.toml where it exists.
        allow_unsigned: take a bundle that no key trusted here signed for sound.
        json: print one JSON object.
    """
    from edge.commands.update import slots_request

    return slots_request(config=config, slots=slots, trusted=trusted, allow_unsigned=allow_unsigned, json=json)


def doctor(config: str = "", store: str = "", json: bool = False) -> Request:
    """Look at this machine: what the instrument needs, whether it is there, and the cure where it is not.

    Exit code 4 when something needed is missing.

    Args:
        config: profile; /etc/leukoscope/edge.toml where it exists.
        store: folder of the record.
        json: print one JSON object.
    """
    from edge.commands.doctor import doctor_request

    return doctor_request(config=config, store=store, json=json)


COMMANDS: dict[str, Command] = {
    "run": run,
    "classify": classify,
    "selftest": selftest,
    "verify": verify,
    "export": export,
    "prune": prune,
    "bench": bench,
    "update": update,
    "rollback": rollback,
    "slots": slots,
    "doctor": doctor,
}


def main() -> None:
    """Console script `edge`. A defect exits with 70: 1 is an answer, after which systemd does not start it again."""
    try:
        code = run_command("edge", COMMANDS)
    except Exception:
        traceback.print_exc()
        code = DEFECT
    sys.exit(code)


if __name__ == "__main__":
    main()
