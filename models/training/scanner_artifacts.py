"""Artifacts of optics, slide and camera: building blocks that `models.training.augmentation` puts together.

Each works on light, float32 (H, W, 3) grey levels as `models.training.stain.to_light` gives them, or on optical
density; each takes its random numbers from the generator it is given and nothing from elsewhere.
"""

import cv2
import numpy as np
import numpy.typing as npt

from edge.inference.contract import Pixels

Floats = npt.NDArray[np.float32]


def defocus(light: Floats, radius: float) -> Floats:
    """Blur by a disk of `radius` pixels with a soft edge: what a lens out of focus makes of a point."""
    reach = int(np.ceil(radius)) + 1
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    disk = np.clip(radius + 0.5 - np.hypot(x, y), 0, 1).astype(np.float32)
    return np.asarray(cv2.filter2D(light, -1, disk / disk.sum(), borderType=cv2.BORDER_REFLECT_101), np.float32)


def drag(light: Floats, length: float, angle: float) -> Floats:
    """Blur by a stroke of `length` pixels at `angle` radians: the stage moved during the exposure."""
    reach = int(np.ceil(length / 2)) + 1
    kernel = np.zeros((2 * reach + 1, 2 * reach + 1), np.float32)
    along = np.linspace(-length / 2, length / 2, 8 * reach)
    step = np.stack([along * np.cos(angle), along * np.sin(angle)], axis=1)
    for dx, dy in step + reach:
        x, y = int(dx), int(dy)
        fx, fy = dx - x, dy - y
        kernel[y : y + 2, x : x + 2] += np.outer([1 - fy, fy], [1 - fx, fx]).astype(np.float32)
    return np.asarray(cv2.filter2D(light, -1, kernel / kernel.sum(), borderType=cv2.BORDER_REFLECT_101), np.float32)


def fringe(light: Floats, shift: float, magnify: float, rng: np.random.Generator) -> Floats:
    """Red and blue moved against green by up to `shift` pixels and magnified by up to `magnify`, relative."""
    height, width = light.shape[:2]
    planes = list(cv2.split(light))
    for k in (0, 2):
        move = rng.uniform(-shift, shift, 2)
        zoom = 1 + rng.uniform(-magnify, magnify)
        matrix = np.array(
            [[zoom, 0, (1 - zoom) * width / 2 + move[0]], [0, zoom, (1 - zoom) * height / 2 + move[1]]], np.float32
        )
        planes[k] = cv2.warpAffine(
            planes[k], matrix, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101
        )
    return np.asarray(cv2.merge(planes), np.float32)


def lamp(shape: tuple[int, int], fall: float, rng: np.random.Generator) -> Floats:
    """(H, W, 1): light lost from 0 to `fall`, relative, along a slope, or away from a bright spot anywhere near."""
    y = np.linspace(-0.5, 0.5, shape[0], dtype=np.float32)[:, None]
    x = np.linspace(-0.5, 0.5, shape[1], dtype=np.float32)[None, :]
    if rng.random() < 0.5:
        angle = rng.uniform(0, 2 * np.pi)
        loss = y * np.float32(np.sin(angle)) + x * np.float32(np.cos(angle))
    else:
        cy, cx = rng.uniform(-0.5, 0.5, 2).astype(np.float32)
        loss = (y - cy) ** 2 + (x - cx) ** 2
    low, high = float(loss.min()), float(loss.max())
    return np.asarray(1 - np.float32(fall) * (loss - low) / (high - low), np.float32)[..., None]


def dirt(shape: tuple[int, int], most: int, rng: np.random.Generator) -> Floats:
    """(H, W, 1) optical density of up to `most` specks and fibres, sharp or far out of focus."""
    canvas = np.zeros(shape, np.float32)
    side = min(shape)
    for _ in range(int(rng.integers(1, most + 1))):
        depth = float(rng.uniform(0.1, 1.5))
        centre = (int(rng.integers(shape[1])), int(rng.integers(shape[0])))
        if rng.random() < 0.7:
            a, b = (max(1, int(side * v)) for v in rng.uniform(0.004, 0.04, 2))
            cv2.ellipse(canvas, centre, (a, b), float(rng.uniform(0, 180)), 0, 360, (depth,), -1)
        else:
            points = np.cumsum(rng.normal(0, side * 0.04, (6, 2)), axis=0) + centre
            cv2.polylines(canvas, [points.astype(np.int32)], False, (depth,), int(rng.integers(1, 3)))
    return np.asarray(cv2.GaussianBlur(canvas, (0, 0), float(rng.uniform(0.5, 3.5))), np.float32)[..., None]


def grain(light: Floats, read: float, shot: float, rng: np.random.Generator) -> Floats:
    """Sensor noise: `read` grey levels everywhere and, at white, `shot` grey levels more that grow with the root."""
    spread = np.sqrt(np.float32(read**2) + np.float32(shot**2 / 255) * np.clip(light, 0, 255))
    noise = rng.standard_normal(light.shape, np.float32)
    if rng.random() < 0.3:  # a compressed or demosaicked stream: grains of more than a pixel
        noise = np.asarray(cv2.GaussianBlur(noise, (0, 0), 0.8), np.float32) * np.float32(2.4)
    return np.asarray(light + spread * noise, np.float32)


def compress(pixels: Pixels, quality: int) -> Pixels:
    """uint8 (H, W, 3) RGB through JPEG of `quality` 1..100."""
    done, stream = cv2.imencode(".jpg", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality])
    assert done, "OpenCV encodes every uint8 image of three channels as JPEG"
    return np.asarray(cv2.cvtColor(cv2.imdecode(stream, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB), np.uint8)


def draw_bar(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """A copy of uint8 (H, W, 3) with an overlay of no known style in one of its corners: bar, ticks, text, box."""
    height, width = pixels.shape[:2]
    out = pixels.copy()
    h, w = int(height * rng.uniform(0.04, 0.16)), int(width * rng.uniform(0.1, 0.3))
    top = int(rng.integers(0, 6)) if rng.random() < 0.3 else height - h - int(rng.integers(0, 6))
    left = int(rng.integers(0, 6)) if rng.random() < 0.4 else width - w - int(rng.integers(0, 6))
    boxed = rng.random() < 0.5
    if boxed:
        out[top : top + h, left : left + w] = 255 if rng.random() < 0.6 else rng.integers(0, 256, 3)
    if boxed and rng.random() < 0.4:
        return out  # painted out: an empty box
    ink = [(0, 0, 0), (255, 255, 255), (255, 0, 0), tuple(int(v) for v in rng.integers(0, 256, 3))][rng.integers(4)]
    base, thick = top + int(h * rng.uniform(0.6, 0.9)), int(rng.integers(1, 5))
    cv2.rectangle(out, (left + 3, base), (left + w - 4, base + thick - 1), ink, -1)
    if rng.random() < 0.5:
        for x in (left + 3, left + w - 4):
            cv2.line(out, (x, base - 3), (x, base + thick + 2), ink, 1)
    if rng.random() < 0.6:
        text = f"{rng.integers(1, 100)} um"
        cv2.putText(out, text, (left + 4, base - 3), cv2.FONT_HERSHEY_SIMPLEX, h / 70, ink, 1, cv2.LINE_AA)
    return out
