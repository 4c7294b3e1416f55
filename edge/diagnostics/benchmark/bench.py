"""The measurements of `edge bench` and their table: a frame stage by stage, beside the bare interpreter."""

import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from msgspec import UNSET, UnsetType

from edge.bundle.provenance import UNGATED
from edge.bundle.trusted import TrustedKeys
from edge.diagnostics import board
from edge.diagnostics.benchmark.record import BenchDetails, BenchRecord, Temperature, WatchersRecord
from edge.diagnostics.benchmark.timing import contenders, drawn_frame, mediapipe_classifier, peak_rss_mb, stages
from edge.serving.serve import Served, serve
from edge.settings.profile import Settings
from edge.system.interleaved_timing import Comparison, Percentiles, Times, compare, interleaved, median, percentiles
from edge.system.machine import Machine

_log = logging.getLogger(__name__)

BUSY_LOAD = 0.5  # processes that wanted to run in the minute before


def measure(
    settings: Settings,
    *,
    trust: TrustedKeys,
    allow_uncertified: bool = False,
    allow_unsigned: bool,
    frames: int,
    folder: Path,
    mediapipe: Path | None,
    watchers: int = 0,
) -> BenchRecord:
    """Stages, pipeline and contenders, timed in interleaved rounds.

    Args:
        settings: model and gates. trust, allow_uncertified, allow_unsigned: as `edge.serving.serve.serve`.
        frames: rounds, at least `FEWEST_FRAMES`.
        folder: existing folder on the disk that counts; the pipeline's record is made in it and removed.
        mediapipe: uint8 file with metadata, measured beside the bundle.
        watchers: clients of the instrument's socket, whose cost is measured; 0 for no such measurement.

    Returns:
        What `edge bench --json` prints.
    """
    from edge.diagnostics.benchmark.pipeline import pipeline_rate

    machine, model = Machine(), settings.model
    before, load = board.hottest_c(machine), os.getloadavg()[0]
    cv2.setNumThreads(model.threads)
    served = serve(
        model,
        trust=trust,
        allow_uncertified=allow_uncertified,
        allow_unsigned=allow_unsigned,
        gates_off=settings.gates_off,
    )
    classifier, frame = served.classifier, drawn_frame()
    _log.info("pipeline and bare interpreter, in turns")
    rates = pipeline_rate(served, frame, frames, folder)
    peak_mb = peak_rss_mb()  # before the virtual microscope and others' packages come in
    watched: WatchersRecord | UnsetType = UNSET
    if watchers:
        from edge.diagnostics.benchmark.watchers import watchers_cost

        _log.info(f"pipeline without a socket, with one, and with {watchers} watchers, in turns")
        watched = watchers_cost(served, frame, frames, folder, watchers)
    _log.info(f"stages: {frames} frames")
    timed = {**stages(classifier, served.gates, frame, frames), "store": rates.store_ms}
    inference = [ms / classifier.contract.tile_count for ms in timed["invoke"]]
    _log.info(f"contenders: {frames} rounds")
    with mediapipe_classifier(mediapipe) as others:
        times = interleaved(contenders(classifier, frame, others), frames)
    return BenchRecord(
        bundle=served.bundle.name,
        runtime=classifier.interpreter.runtime,
        threads=model.threads,
        **{f"{name}_ms": round(median(values), 4) for name, values in times.items()},
        pipeline_fps=round(median(rates.pipeline_fps), 1),
        invoke_fps=round(median(rates.invoke_fps), 1),
        peak_rss_mb=round(peak_mb, 1),
        details=BenchDetails(
            **_about(served, machine),
            frames=frames,
            load_before=round(load, 2),
            contenders={name: percentiles(values) for name, values in times.items()},
            against_invoke={n: compare(v, times["invoke"]) for n, v in times.items() if n != "invoke"},
            against_mediapipe=_against_mediapipe(times),
            stages={name: percentiles(values) for name, values in timed.items()},
            novelty_share=compare(timed["novelty"], inference).ratio,
            gates_share=compare(_sums(timed["gates"], timed["novelty"]), inference).ratio,
            pipeline=rates.record(),
            temperature_c=Temperature(before, board.hottest_c(machine)),
            throttled=board.throttled(machine)[0],
            tiles=classifier.contract.tiles or UNSET,
            watchers=watched,
        ),
    )


def table(record: BenchRecord) -> str:
    """The record for people."""
    details = record.details
    lines = [
        f"{record.bundle} on {record.runtime} {details.runtime_version} ({details.kind} arithmetic), "
        f"{record.threads} thread{'s' if record.threads > 1 else ''}, {details.board}",
        "",
        f"{'milliseconds':<20}{'median':>9}{'p90':>9}{'p99':>9}{'min':>9}   against invoke (95 % interval)",
    ]
    for name, row in details.contenders.items():
        lines.append(f"{name:<20}{_row(row)}{_ratio(details.against_invoke.get(name))}")
    for name, against in details.against_mediapipe.items():
        lines.append(f"{name} / mediapipe: {against.ratio:.3f}")
    lines += ["", f"{'stage, milliseconds':<20}{'median':>9}{'p90':>9}{'p99':>9}{'min':>9}"]
    lines += [f"{name:<20}{_row(row)}" for name, row in details.stages.items()]
    if details.ungated:
        lines.append(f"warning: {UNGATED}")
    else:
        lines.append(f"all gates: {details.gates_share:.3f} of an inference ({', '.join(details.gates)})")
        lines.append(f"the gate against frames unlike the training images: {details.novelty_share:.3f} of an inference")
    if details.tiles is not UNSET:
        lines.append(tiles_line(record))
    share = details.pipeline.ratio
    lines += [
        "",
        f"pipeline, every verdict stored: {record.pipeline_fps:.1f} frames/s; bare interpreter in turns with it: "
        f"{record.invoke_fps:.1f} ({share:.3f})",
        f"peak memory {record.peak_rss_mb:.0f} MB",
    ]
    if details.watchers is not UNSET:
        lines += watchers_lines(details.watchers)
    if details.instead:
        lines.append(f"warning: these are times of the CPU: {details.instead}")
    after = details.temperature_c.after
    if after is not None:
        lines.append(f"temperature {details.temperature_c.before:.1f} to {after:.1f} C")
    if details.load_before > BUSY_LOAD:
        lines.append(f"warning: other programs were busy here (load {details.load_before}): these times are theirs too")
    if details.throttled:
        lines.append(f"warning: this board throttles (0x{details.throttled:x}): see `edge doctor`")
    return "\n".join(lines)


def tiles_line(record: BenchRecord) -> str:
    """What tiles cost: inferences a field, and their time of that from frame to verdict."""
    columns, rows = record.details.tiles or (1, 1)
    field, one = record.details.stages["invoke"].p50, record.invoke_ms
    cost = f"{columns * rows} inferences a field, {field:.1f} ms of {record.frame_1280x960_ms:.1f} ms to the verdict"
    return f"tiles {columns}x{rows}: {cost}; without tiles it is one of {one:.1f} ms"


def watchers_lines(record: WatchersRecord) -> list[str]:
    """What the socket costs."""
    lines = []
    for name, kind, against in (
        (f"{record.watchers} watchers", "watched", record.watched),
        ("nobody", "unwatched", record.unwatched),
    ):
        interval = f"{against.ratio_low:.3f} to {against.ratio_high:.3f}"
        work = record.processor_ms[kind] / record.processor_ms["alone"] - 1
        more = record.memory_mb[kind] - record.memory_mb["alone"]
        lines.append(
            f"socket with {name}: {against.ratio:.3f} of the pipeline's rate ({interval}), {100 * work:+.1f} % work of "
            f"the instrument, {more:+.1f} MB"
        )
    return lines


def _sums(some: Sequence[float], others: Sequence[float]) -> list[float]:
    return [one + other for one, other in zip(some, others, strict=True)]


def _row(row: Percentiles) -> str:
    return "".join(f"{value:9.3f}" for value in (row.p50, row.p90, row.p99, row.min))


def _ratio(against: Comparison | None) -> str:
    if against is None:
        return ""
    interval = f"{against.ratio_low:.3f} to {against.ratio_high:.3f}"
    return f"   x {against.ratio:.3f} ({interval}), {against.difference_ms:+.3f} ms"


def _against_mediapipe(times: Times) -> dict[str, Comparison]:
    pairs = ((f"frame_{size}", f"mediapipe_{size}") for size in ("224", "1280x960"))
    return {ours: compare(times[ours], times[theirs]) for ours, theirs in pairs if theirs in times}


def _about(served: Served, machine: Machine) -> dict[str, Any]:
    interpreter = served.classifier.interpreter
    return {
        "digest": served.bundle.digest,
        "bundle_version": served.bundle.provenance.version,
        "signed_by": served.bundle.provenance.signed_by,
        "synthetic_certificate": served.bundle.synthetic,
        "ungated": served.provenance.ungated,
        "gates": served.gates.names,
        "runtime_version": interpreter.version,
        "kind": interpreter.kind,
        "instead": served.instead or None,
        "board": machine.text("proc/device-tree/model") or _processor(machine) or machine.architecture,
        "opencv": cv2.__version__,
        "numpy": np.__version__,
        "frames_from": "a drawn field; speed does not depend on what a frame shows",
    }


def _processor(machine: Machine) -> str:
    lines = (machine.text("proc/cpuinfo") or "").splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
