"""Drawn laboratories with known truth: stain, lamp, cameras, sessions and slides, each with a shift of its own.

What makes one laboratory's fields differ from another's is drawn from its seed; disease is drawn from the slide's label
alone. All classes of a laboratory have the same style (stain, light, number of red cells, debris), and as much
nuclear dye a field: only their white cells differ. So no colour number tells the class, and whatever else tells it was
planted by who chose camera, session and day of its slides. The sizes of the shifts were set by eye, so that fields of
one laboratory look alike beside those of another; see `tests/edge/cameras/synthetic/test_laboratory.py`.
"""

import datetime
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache

from edge.cameras.synthetic.cell_types import KINDS
from edge.cameras.synthetic.noise import mix, normal, uniforms
from edge.cameras.synthetic.optics import Optics, Triple
from edge.cameras.synthetic.recipes import PUBLISHED_FIELD_UM, RECIPES, Recipe, Style
from edge.cameras.synthetic.smear import UM_PER_PX, Field, SyntheticSmear
from edge.errors import SmearError

HEALTHY, LEUKEMIC = "healthy", "leukemic"
LARGEST_NUMBER = 10**6  # of a site, a slide, a session or a camera
FIELD_SIZE = (320, 240)  # pixels; fields of tests
_FIRST_DAY = datetime.date(2026, 3, 2)
_FIELDS_A_ROW = 6
_GAP = 1.05  # from field to field of a slide, against the field's side: no two overlap
# Nuclear dye of a field: of 12 cells of mean radius 4.9 um and nucleus 0.92 of it, about the published classes' mean.
_NUCLEAR_DYE = 12 * (4.9 * 0.92) ** 2
# White cells of a healthy slide: fewer young ones, which are hard to tell from blasts, than the published Benign has.
_HEALTHY_MIX = {"lymphocyte": 0.42, "haematogone": 0.05, "neutrophil": 0.34, "monocyte": 0.14, "myelocyte": 0.05}
_LAMP, _STAIN, _CAMERA, _SESSION, _SLIDE, _WHICH = range(1, 7)  # what a key is for


@dataclass(frozen=True)
class CameraResponse:
    """How one camera of a laboratory shows a slide.

    Attributes:
        white_balance: factors on the light's R, G, B.
        tone: factor on optical densities: the contrast of its tone curve.
        crosstalk: part of each channel's density that is the mean of all three: its colours' paleness, 0..1.
        blur_um: Gaussian sigma of a focused image; noise: standard deviation of the sensor's noise, grey levels.
        magnification: pixels a micrometre against the published fields'.
    """

    white_balance: Triple
    tone: float
    crosstalk: float
    blur_um: float
    noise: float
    magnification: float


class Laboratory:
    """One laboratory: its stain, its lamp, its cameras, and any number of slides and sessions.

    >>> field = Laboratory(3).field("leukemic", 12, 0, session=2, camera=1, size=(64, 48))
    >>> field.frame.shape, field.recipe in ("Early", "Pre", "Pro")
    ((48, 64, 3), True)

    Args:
        seed: which laboratory, 0..1000000.

    Raises:
        SmearError: a seed out of range.
    """

    def __init__(self, seed: int) -> None:
        self.seed = _number("site", seed)
        self._key = mix(self.seed, *b"laboratory")
        self._style = _style(self._key)
        self._crenation, self._straight = (0.4 * u for u in uniforms(mix(self._key, _STAIN, 2), 2))
        self._smear = lru_cache(maxsize=8)(self._make)

    def camera(self, number: int = 0) -> CameraResponse:
        """The response of camera `number`, 0..1000000."""
        u = uniforms(mix(self._key, _CAMERA, _number("camera", number)), 12)
        return CameraResponse(
            white_balance=_triple(1 + 0.03 * (2 * v - 1) for v in u[:3]),
            tone=0.85 + 0.3 * u[3],
            crosstalk=0.2 * u[4],
            blur_um=0.16 + 0.14 * u[5],
            noise=1.2 + 1.2 * u[6],
            magnification=0.95 + 0.1 * u[7],
        )

    def um_per_px(self, camera: int, height: int) -> float:
        """Side of a pixel on the slide, um, where frames of `camera` are `height` pixels high."""
        return min(UM_PER_PX[1], PUBLISHED_FIELD_UM[1] / height / self.camera(camera).magnification)

    def recipe(self, label: str, slide: int) -> str:
        """The name in `RECIPES` whose white cells a slide has: "healthy" is Benign, "leukemic" one of the others."""
        if label == HEALTHY:
            return "Benign"
        if label == LEUKEMIC:
            sick = [name for name in RECIPES if name != "Benign"]
            return sick[mix(self._key, _WHICH, _number("slide", slide)) % len(sick)]
        if label not in RECIPES:
            raise SmearError(f"label must be {HEALTHY}, {LEUKEMIC} or one of {', '.join(RECIPES)}; got {label!r}")
        return label

    def smear(self, label: str, slide: int, *, session: int = 0, camera: int = 0) -> SyntheticSmear:
        """A slide as one session's lamp and one camera show it.

        Args:
            label: "healthy", "leukemic" or a recipe's name: which white cells it has.
            slide, session, camera: 0..1000000. The cells follow from label and slide alone.

        Raises:
            SmearError: an unknown label, or a number out of range.
        """
        numbers = (_number("slide", slide), _number("session", session), _number("camera", camera))
        return self._smear(self.recipe(label, slide), *numbers)

    def field(
        self,
        label: str,
        slide: int,
        index: int,
        *,
        session: int = 0,
        camera: int = 0,
        size: tuple[int, int] = FIELD_SIZE,
        light: float = 1.0,
    ) -> Field:
        """Field number `index` (>= 0) of a slide; fields do not overlap.

        Args:
            label, slide, session, camera: as in `smear`.
            size: (width, height) in pixels; the height shows what a published field's does, up to the magnification.
            light: factor on the lamp: for a class that is brighter than it should be.
        """
        smear = self.smear(label, slide, session=session, camera=camera)
        step = self.um_per_px(camera, size[1])
        row, column = divmod(_number("index", index), _FIELDS_A_ROW)
        x, y = column * size[0] * step * _GAP, row * size[1] * step * _GAP
        own = mix(self._key, session, camera, slide, index)
        if light == 1.0:
            return smear.field(x, y, size, step, noise=own)
        optics = smear.optics
        smear.optics = replace(optics, background=_triple(light * b for b in optics.background))
        try:
            return smear.field(x, y, size, step, noise=own)
        finally:
            smear.optics = optics

    def day(self, session: int) -> str:
        """The day of a session, ISO 8601: sessions are a week apart."""
        return (_FIRST_DAY + datetime.timedelta(weeks=_number("session", session))).isoformat()

    def _make(self, recipe: str, slide: int, session: int, camera: int) -> SyntheticSmear:
        b = [normal(*uniforms(mix(self._key, _SLIDE, slide, *recipe.encode(), k), 3)) for k in range(13)]
        cells = _HEALTHY_MIX if recipe == "Benign" else RECIPES[recipe].mix
        style = replace(
            self._style,
            white_count=_white_count(cells),
            red_share=self._style.red_share * (1 + 0.08 * b[0]),
            red_diameter=self._style.red_diameter * (1 + 0.012 * b[1]),
            pallor=self._style.pallor * (1 + 0.08 * b[2]),
        )
        drawn = Recipe(
            recipe,
            (style,),
            cells,
            cluster=1.3,
            crenation=self._crenation,
            straight=2 * self._straight,
            extras={"platelet": 1.5, "smudge": 0.3, "precipitate": 0.5},
        )
        smear = SyntheticSmear(mix(self._key, slide), drawn)
        smear.optics = self._optics(smear.optics, b[3:], session, self.camera(camera))
        return smear

    def _optics(self, stain: Optics, b: list[float], session: int, camera: CameraResponse) -> Optics:
        s = [normal(*uniforms(mix(self._key, _SESSION, session, k), 3)) for k in range(5)]
        lamp = [w * (1 + 0.008 * s[0]) * (1 + 0.004 * n) for w, n in zip(camera.white_balance, s[1:4], strict=True)]
        strength = (1 + 0.05 * b[0]) * (1 + 0.03 * s[4]) * camera.tone

        def shown(density: Triple, own: list[float]) -> Triple:
            mean = sum(density) / 3
            pale = camera.crosstalk
            return _triple(
                strength * (1 + 0.04 * n) * ((1 - pale) * d + pale * mean) for d, n in zip(density, own, strict=True)
            )

        return replace(
            stain,
            background=_triple(
                min(256.0, g * f * (1 + 0.004 * n)) for g, f, n in zip(stain.background, lamp, b[7:10], strict=True)
            ),
            white=shown(stain.white, b[1:4]),
            red=shown(stain.red, b[4:7]),
            cytoplasm=shown(stain.cytoplasm, b[1:4]),
            pink=shown(stain.pink, b[4:7]),
            blur_um=camera.blur_um,
            noise=camera.noise,
        )


def _style(key: int) -> Style:
    """Stain and lamp of a laboratory, within what the published classes span."""
    u = uniforms(mix(key, _STAIN), 16)
    lamp = uniforms(mix(key, _LAMP), 8)
    strength = 0.8 + 0.5 * u[0]
    return Style(
        share=1.0,
        background=(238 + 16 * lamp[0], 244 + 10 * lamp[1], 232 + 18 * lamp[2]),
        background_sd=(0.0, 0.0, 0.0),
        falloff=(-3 - 7 * lamp[3], -3 - 7 * lamp[3], -4 + 5 * lamp[4]),
        white_density=(strength * (0.13 + 0.11 * u[1]), strength * (0.25 + 0.11 * u[2]), 0.06 * u[3] - 0.01),
        white_sd=0.0,
        red_density=(0.09 + 0.10 * u[4], 0.09 + 0.09 * u[5], 0.03 + 0.06 * u[6]),
        red_sd=0.0,
        white_count=0.0,
        red_share=0.28 + 0.12 * u[7],
        red_diameter=6.8 + 0.5 * u[8],
        pallor=0.25 + 0.6 * u[9],
        chain=1.3 + 1.2 * u[10],
    )


def _white_count(cells: Mapping[str, float]) -> float:
    """White cells a published field, so that each class has as much nuclear dye."""
    dye = sum(
        part * KINDS[kind].chromatin * (KINDS[kind].radius * KINDS[kind].nucleus) ** 2 for kind, part in cells.items()
    )
    return _NUCLEAR_DYE * sum(cells.values()) / dye


def _triple(values: Iterable[float]) -> Triple:
    first, second, third = values
    return first, second, third


def _number(name: str, value: int) -> int:
    if isinstance(value, bool) or not hasattr(value, "__index__") or not 0 <= value <= LARGEST_NUMBER:
        raise SmearError(f"{name} must be a whole number in 0..{LARGEST_NUMBER}; got {value!r}")
    return int(value)
