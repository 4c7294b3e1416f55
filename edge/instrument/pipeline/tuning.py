"""What a long-running process asks of its libraries, so that it shares a small machine well."""

import ctypes
import sys

import cv2

_M_ARENA_MAX, _M_TRIM_THRESHOLD = -8, -1  # malloc.h of glibc
_TRIM_BYTES = 128 * 1024
_SWITCH_S = 0.0005  # Python's own 5 ms are longer than an inference


def tune_process() -> None:
    """One OpenCV thread, quick turns between Python's threads, one malloc arena that gives freed memory back.

    The stages are threads already; OpenCV's own would take the core that the interpreter runs on. By default
    glibc keeps an arena a thread and what was freed in it: some 6 MB here. Without glibc nothing is asked of it.
    """
    cv2.setNumThreads(1)
    sys.setswitchinterval(_SWITCH_S)
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_ARENA_MAX, 1)
        mallopt(_M_TRIM_THRESHOLD, _TRIM_BYTES)
