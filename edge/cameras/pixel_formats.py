"""What libcamera delivers, as RGB: one OpenCV call a format, into the caller's buffer.

Formats bear their DRM names, which list the bytes of a pixel from the most significant: "BGR888" is R, G, B in
memory. Colour conversions give the same bytes on x86-64 and aarch64 (DESIGN, decision 1). OpenCV reads YUV as
ITU-R BT.601, limited range (SMPTE170M): ask the camera for that colour space.
"""

import cv2
import numpy as np

from edge.inference.contract import Pixels

_TO_RGB = {
    "R8": cv2.COLOR_GRAY2RGB,
    "RGB888": cv2.COLOR_BGR2RGB,
    "XBGR8888": cv2.COLOR_RGBA2RGB,
    "XRGB8888": cv2.COLOR_BGRA2RGB,
    "NV12": cv2.COLOR_YUV2RGB_NV12,
    "NV21": cv2.COLOR_YUV2RGB_NV21,
    "YUV420": cv2.COLOR_YUV2RGB_I420,
    "YVU420": cv2.COLOR_YUV2RGB_YV12,
    "YUYV": cv2.COLOR_YUV2RGB_YUYV,
}
FORMATS = frozenset({"BGR888", *_TO_RGB})
YUV_FORMATS = frozenset({"NV12", "NV21", "YUV420", "YVU420", "YUYV"})


class ToRGB:
    """Converts frames of one format and size. Use one a thread: it may keep a buffer to work in.

    Args:
        name: one of `FORMATS`. size: (width, height) of the frame, without padding.

    >>> rgb = np.empty((2, 4, 3), np.uint8)
    >>> ToRGB("NV12", (4, 2))(np.full((3, 4), 128, np.uint8), rgb)
    >>> rgb[0, 0].tolist()
    [130, 130, 130]
    """

    def __init__(self, name: str, size: tuple[int, int]) -> None:
        self.name, self.size = name, size
        self._padded: Pixels | None = None

    def __call__(self, array: Pixels, into: Pixels) -> None:
        """Fill `into`.

        Args:
            array: uint8, as picamera2 shapes it: (H, W, 3) or (H, W, 4) for RGB formats; (H, stride) for R8, grey;
                (H * 3 / 2, W) for NV12 and NV21; (H * 3 / 2, stride) for YUV420 and YVU420, padding kept;
                (H, stride / 2, 2) for YUYV.
            into: uint8 (H, W, 3), C-contiguous: RGB, 0..255.
        """
        width, height = self.size
        if self.name == "BGR888":
            np.copyto(into, array)
        elif array.shape[1] == width:
            cv2.cvtColor(array, _TO_RGB[self.name], dst=into)
        else:  # planes of padded rows cannot be cut before they are converted
            if self._padded is None or self._padded.shape[1] != array.shape[1]:
                self._padded = np.empty((height, array.shape[1], 3), np.uint8)
            cv2.cvtColor(array, _TO_RGB[self.name], dst=self._padded)
            np.copyto(into, self._padded[:, :width])
