"""Numbers that describe any picture: its brightness, colours, detail and layout, measured on a prepared frame.

Nothing here knows what a picture shows, so the family serves a model of anything: stained cells, seeds, photographs.
All sums are of whole numbers (OpenCV on uint8); logarithms and quotients of them may differ in their last bits between
machines.
"""

import math

import cv2
import numpy as np

from edge.inference.gates.madogram import madogram, steps
from edge.inference.gates.measures import Plane, View

FINE_LAGS = (1, 2, 3, 4, 6, 8, 12, 16)  # pixels of the halved frame, for luma
COARSE_LAGS = (1, 2, 4, 8)  # pixels of the quartered frame, for the two colour differences
PERCENTILES = (2, 25, 50, 75, 98)
STEEP = (3, 12, 36)  # grey levels from one pixel of the halved frame to the next
_SQUEEZE = 4  # the first lags, over which differences across and down are compared
_LEAST_SHARE = 0.003  # of the pixels, added so that a picture without steep neighbours has a logarithm
_LAYOUT = (4, 4)  # columns and rows of the grid that tells where a picture is bright

_LUMA, _COLOUR, _SIZE = "brightness and contrast", "colours", "size of what it shows"
# name of a number -> what it belongs to, in words for people; in the order in which `appearance` gives them
APPEARANCE = {
    **{f"luma_{percentile}": _LUMA for percentile in PERCENTILES},
    **{f"{plane}_{percentile}": _COLOUR for plane in ("red", "blue") for percentile in PERCENTILES},
    **dict.fromkeys(("spread_r", "spread_g", "spread_b"), _LUMA),
    **dict.fromkeys(("together_rg", "together_gb"), _COLOUR),
    "luma_lag_1": "contrast of fine detail",
    **{f"luma_lag_{lag}": _SIZE for lag in FINE_LAGS[1:]},
    "luma_squeeze": "shape of what it shows",
    **{f"{plane}_lag_{lag}": "size of what is coloured" for plane in ("red", "blue") for lag in COARSE_LAGS},
    **{f"steeper_{level}": "sharpness of edges" for level in STEEP},
    "layout": "where it is bright",
}

# The least that each number's spread counts as, in the same order: percentiles are whole grey levels, and of pictures
# that are alike in one of them the next may differ by a level; the others are logarithms and correlations.
_LEVELS = 3 * len(PERCENTILES)  # the first numbers
LEAST_SPREAD = (1.0,) * _LEVELS + (0.03,) * (len(APPEARANCE) - _LEVELS)


def appearance(view: View) -> list[float]:
    """The numbers of a picture, in the order of `APPEARANCE`.

    `luma_P`, `red_P`, `blue_P`: percentile P of Y, Cr and Cb (ITU-R BT.601), grey levels. `spread_*`: natural logarithm
    of a channel's standard deviation + 1; `together_*`: correlation of two channels. `*_lag_1`: logarithm of the mean
    absolute difference of pixels side by side; `*_lag_L`: that of pixels L apart as ratio to the next smaller lag
    (geostatistics' madogram); `luma_squeeze`: differences across against those down. `steeper_G`: logarithm of the
    share of neighbours that differ by more than G. `layout`: logarithm of the spread over a grid of 4 x 4 means + 1.
    """
    luma, red, blue = cv2.split(cv2.cvtColor(view.halved, cv2.COLOR_RGB2YCrCb))
    across, down = madogram(luma, FINE_LAGS)
    both = [(a + d) / 2 for a, d in zip(across, down, strict=True)]
    squeeze = sum(a - d for a, d in zip(across[:_SQUEEZE], down[:_SQUEEZE], strict=True)) / _SQUEEZE
    numbers = [level for plane in (luma, red, blue) for level in _percentiles(plane)]
    numbers += [*_channels(view), both[0], *steps(both), squeeze]
    patches = cv2.split(cv2.cvtColor(view.patches, cv2.COLOR_RGB2YCrCb))
    for plane in patches[1:]:
        coarse = [(a + d) / 2 for a, d in zip(*madogram(plane, COARSE_LAGS), strict=True)]
        numbers += [coarse[0], *steps(coarse)]
    grid = cv2.resize(patches[0], _LAYOUT, interpolation=cv2.INTER_AREA)
    return [*numbers, *_steep(luma), math.log(float(cv2.meanStdDev(grid)[1][0, 0]) + 1)]


def _percentiles(plane: Plane) -> list[float]:
    """The levels of uint8 (H, W) below or at which `PERCENTILES` of its pixels lie."""
    up_to = cv2.calcHist([plane], [0], None, [256], [0, 256])[:, 0].cumsum()
    wanted = np.array(PERCENTILES) * (float(up_to[-1]) / 100)
    return [float(level) for level in np.searchsorted(up_to, wanted)]


def _channels(view: View) -> list[float]:
    """Spreads of R, G and B, and how R goes with G and G with B; 0 where a channel is even."""
    patches = view.patches.reshape(-1, 3).astype(np.float64)
    covariance = np.cov(patches, rowvar=False, bias=True)
    spread = np.sqrt(np.diag(covariance))
    together = [
        float(covariance[a, b] / (spread[a] * spread[b])) if spread[a] * spread[b] > 0 else 0.0
        for a, b in ((0, 1), (1, 2))
    ]
    return [*np.log(spread + 1).tolist(), *together]


def _steep(luma: Plane) -> list[float]:
    """Logarithm of the share of neighbours, across and down, that differ by more than each of `STEEP`."""
    counts = np.zeros(256)
    for difference in (cv2.absdiff(luma[:, 1:], luma[:, :-1]), cv2.absdiff(luma[1:], luma[:-1])):
        if difference.size:
            counts += cv2.calcHist([difference], [0], None, [256], [0, 256])[:, 0]
    total = max(counts.sum(), 1.0)
    return [math.log(counts[level + 1 :].sum() / total + _LEAST_SHARE) for level in STEEP]
