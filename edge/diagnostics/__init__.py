"""Diagnostics of a machine: the probes of `edge doctor` and the measurements of `edge bench`."""

__all__ = ["bench", "bench_figure", "bench_record", "bench_timing", "board", "doctor", "storage"]
