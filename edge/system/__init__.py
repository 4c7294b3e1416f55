"""The operating system's side: files, folders, clock, streams, queues, processes; nothing about images."""

__all__ = [
    "clock",
    "durable",
    "files",
    "folders",
    "interleaved_timing",
    "interrupts",
    "isolation",
    "line_writer",
    "machine",
    "option_values",
    "queues",
    "sd_notify",
    "streams",
    "strict_json",
]
