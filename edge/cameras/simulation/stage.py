"""Stage and focus of the virtual microscope: where it looks at each frame, a function of the frame's number alone.

The stage scans in rows, forth and back, and settles on a field for most of the frames; it moves along one axis
after the other, as a cross table does. Focus is right for four fifths of a period, then drifts away and back.
"""

from dataclasses import dataclass
from functools import lru_cache
from math import floor

from edge.cameras.synthetic.noise import mix, uniforms

MOSAIC_FIELDS = (3, 2)  # columns and rows of fields that are drawn; the scan stays within them
FRAMES_A_STOP = 20
FRAMES_A_PLACE = 180  # nine stops: the top, the middle and the bottom of what is drawn
DRIFT_PERIOD, DRIFT_FRAMES = 150, 30  # frames; of each period the last so many are off focus
OPEN_SHUTTER = 0.1  # part of a frame's time in which it is exposed: what the stage travels then is smeared
_JITTER = 0.25  # of a field's side: no two passes stop at quite the same places
_ROWS = (0, 1, 2, 1)  # half fields: down and up again, so that no move crosses the whole scan


@dataclass(frozen=True)
class Pose:
    """What one frame looks at.

    Attributes:
        x, y: left and top edge of the frame on the mosaic, pixels.
        stop: which stop of the scan, from 0; while moving, the one it moves to.
        moving: whether the stage moves.
        smear: (x, y) pixels that the stage travels during the exposure; one of them is 0.
        defocus_um: distance from focus, of either sign.
        beside: whether nothing of the smear is in view.
    """

    x: int
    y: int
    stop: int
    moving: bool
    smear: tuple[float, float]
    defocus_um: float
    beside: bool


class Stage:
    """A scan over a mosaic of MOSAIC_FIELDS frames.

    Args:
        seed: which scan.
        size: (width, height) of a frame, pixels.
        motion: share of frames taken while moving, 0..0.9.
        focus_drift: farthest from focus, um.
        empty: share of stops beside the smear, 0..1; the mosaic's last column of fields is left empty for them.

    >>> stage = Stage(1, (640, 480), motion=0.1, focus_drift=2.0, empty=0.1)
    >>> stage.pose(7) == stage.pose(7)
    True
    """

    def __init__(self, seed: int, size: tuple[int, int], motion: float, focus_drift: float, empty: float) -> None:
        self._seed, self._size = seed, size
        self._focus_drift, self._empty = focus_drift, empty
        self._moving_frames = round(FRAMES_A_STOP * motion)
        self.smear_columns = MOSAIC_FIELDS[0] - (1 if empty > 0 else 0)
        self._stop = lru_cache(maxsize=4)(self._place)

    def pose(self, frame: int) -> Pose:
        """Where frame number `frame` (>= 0) is taken."""
        stop, step = divmod(frame, FRAMES_A_STOP)
        x, y = self._stop(stop)
        left, top = self._stop(stop - 1) if stop else (x, y)
        across, down = abs(x - left), abs(y - top)
        if step >= self._moving_frames or across + down == 0:
            return self._pose(frame, x, y, stop)
        t = (step + 0.5) / self._moving_frames
        travelled = (3 - 2 * t) * t * t * (across + down)  # starts and ends softly
        smeared = 6 * t * (1 - t) / self._moving_frames * (across + down) * OPEN_SHUTTER
        along_x, along_y = min(travelled, across), max(0.0, travelled - across)
        return self._pose(
            frame,
            round(left + (along_x if x > left else -along_x)),
            round(top + (along_y if y > top else -along_y)),
            stop,
            (0.0, smeared) if along_y else (smeared, 0.0),
        )

    def _pose(self, frame: int, x: int, y: int, stop: int, smear: tuple[float, float] = (0.0, 0.0)) -> Pose:
        beside = x >= self.smear_columns * self._size[0]
        return Pose(x, y, stop, smear != (0.0, 0.0), smear, self._defocus(frame), beside)

    def _place(self, stop: int) -> tuple[int, int]:
        width, height = self._size
        a_row = self.smear_columns + 1
        row, place = divmod(stop, a_row)
        column = a_row - 1 - place if row % 2 else place
        reach = (self.smear_columns - 1) * width
        y = height / 2 * _ROWS[row % len(_ROWS)] + height * _JITTER * (self._uniform(1, row) - 0.5)
        y = min(max(y, 0), (MOSAIC_FIELDS[1] - 1) * height)
        if floor((stop + 1) * self._empty) > floor(stop * self._empty):
            return self.smear_columns * width, round(y)
        x = reach * column / (a_row - 1) + width * _JITTER * (self._uniform(2, stop) - 0.5)
        return round(min(max(x, 0), reach)), round(y)

    def _uniform(self, what: int, index: int) -> float:
        return uniforms(mix(self._seed, 301, what, index), 1)[0]

    def _defocus(self, frame: int) -> float:
        period, phase = divmod(frame, DRIFT_PERIOD)
        into = phase - (DRIFT_PERIOD - DRIFT_FRAMES) + 0.5
        if into < 0 or self._focus_drift == 0:
            return 0.0
        away = self._focus_drift * (1 - abs(2 * into / DRIFT_FRAMES - 1))
        return -away if period % 2 else away
