"""The operating system's side: files, folders, clock, streams, queues, processes; nothing about images."""

__all__ = [
    "clock",
    "durable",
    "files",
    "folders",
    "interleaved_timing",
    "interrupts",
    "line_writer",
    "machine",
    "option_values",
    "progress",
    "queues",
    "streams",
    "strict_json",
    "wording",
]
