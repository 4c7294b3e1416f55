"""What a long-running process asks of its libraries, so that it shares a small machine well."""

import ctypes

import cv2

_M_ARENA_MAX, _M_TRIM_THRESHOLD = -8, -1  # malloc.h of glibc
_TRIM_BYTES = 128 * 1024


def settle_in() -> None:
    """One OpenCV thread, and one malloc arena that gives freed memory back.

    The stages are threads already; OpenCV's own would take the core that the interpreter runs on. By default
    glibc keeps an arena a thread and what was freed in it: some 6 MB here. Without glibc nothing is asked of it.
    """
    cv2.setNumThreads(1)
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_ARENA_MAX, 1)
        mallopt(_M_TRIM_THRESHOLD, _TRIM_BYTES)
