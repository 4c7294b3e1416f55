"""Lets picamera2 drive libcamera's virtual pipeline, then runs a script: python virtual_camera.py SCRIPT WORD...

Two things of a Pi are missing: /dev/dma_heap, so buffers are anonymous files, and a raw stream, so the list of
sensor modes is that of the viewfinder. Everything else of picamera2 and libcamera is the real one.
"""

import mmap
import os
import runpy
import sys
from typing import Any

import libcamera
import picamera2.picamera2
from picamera2.allocators.allocator import Allocator, Sync

MOST_TRIES = 5000


class MemoryAllocator(Allocator):
    """Buffers in memory files, in the place of picamera2's DmaAllocator."""

    def __init__(self) -> None:
        super().__init__()
        self.mapped_buffers: dict[Any, mmap.mmap] = {}
        self.frame_buffers: dict[Any, list[Any]] = {}
        self.sync = NoSync
        self._files: list[int] = []
        self._rejected: list[Any] = []

    def allocate(self, libcamera_config: Any, use_case: Any) -> None:
        self.close()
        for stream in libcamera_config:
            self.frame_buffers[stream.stream] = [self._buffer(stream) for _ in range(stream.buffer_count)]

    def _buffer(self, stream: Any) -> Any:
        file = os.memfd_create("frame")
        os.ftruncate(file, stream.frame_size)
        self._files.append(file)
        luma = stream.stride * stream.size.height
        two = str(stream.pixel_format) in ("NV12", "NV21")
        planes, offset = [], 0
        for length in (luma, stream.frame_size - luma) if two else (stream.frame_size,):
            plane = libcamera.FrameBuffer.Plane()
            plane.fd, plane.offset, plane.length = file, offset, length
            planes.append(plane)
            offset += length
        # libcamera 0.4.0's virtual pipeline never writes a frame's status: it stays what the memory held, and
        # picamera2 drops what is no Success. So only buffers that already say so are kept; the others stay
        # referenced, or the same memory would come back.
        for _ in range(MOST_TRIES):
            buffer = libcamera.FrameBuffer(planes)
            if buffer.metadata.status == libcamera.FrameMetadata.Status.Success:
                self.mapped_buffers[buffer] = mmap.mmap(file, stream.frame_size)
                return buffer
            self._rejected.append(buffer)
        raise RuntimeError(f"no frame buffer with status Success in {MOST_TRIES} tries")

    def buffers(self, stream: Any) -> list[Any]:
        return self.frame_buffers[stream]

    def acquire(self, buffers: Any) -> None:
        """Nothing to count."""

    def release(self, buffers: Any) -> None:
        """Nothing to count."""

    def close(self) -> None:
        self.frame_buffers, self.mapped_buffers = {}, {}
        for file in self._files:
            os.close(file)
        self._files = []


class NoSync(Sync):
    """Memory files need no synchronizing."""

    def __init__(self, allocator: MemoryAllocator, buffer: Any, write: bool) -> None:
        self._memory = allocator.mapped_buffers[buffer]

    def __enter__(self) -> mmap.mmap:
        return self._memory

    def __exit__(self, *_: Any) -> None:
        """Nothing to undo."""

    def get_buffer(self) -> mmap.mmap:
        return self._memory


def install() -> None:
    """Put the stand-ins in."""
    picamera2.picamera2.DmaAllocator = MemoryAllocator

    def modes(self: Any) -> list[dict[str, Any]]:
        stream = self.camera.generate_configuration([libcamera.StreamRole.Viewfinder]).at(0)
        return [{"format": str(stream.pixel_format), "size": (stream.size.width, stream.size.height)}]

    picamera2.picamera2.Picamera2._get_raw_modes = modes


if __name__ == "__main__":
    install()
    sys.argv = sys.argv[1:]
    runpy.run_path(sys.argv[0], run_name="__main__")
