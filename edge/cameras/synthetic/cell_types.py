"""The kinds of cell of the synthetic smear and how each looks."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, kw_only=True)
class Morphology:
    """How a kind of cell looks; amounts of dye are relative to the stain (1 = its measured density).

    Attributes:
        radius, radius_sd: um.
        nucleus: radius of the nucleus / radius of the cell, 0 without a nucleus; its spread is 4 %.
        wobble, nuclear_wobble: relative irregularity of the outlines.
        chromatin, chromatin_sd: amount in the nucleus and its spread from cell to cell.
        clumps, grain: relative contrast of coarse and fine chromatin.
        nucleoli: most there can be.
        cytoplasm, pink: amounts of the blue dye and of the pink one outside the nucleus.
        lobes: parts of the nucleus; indentation: depth of a notch, 0..1.
    """

    radius: float
    radius_sd: float
    nucleus: float = 0.0
    wobble: float = 0.02
    nuclear_wobble: float = 0.02
    chromatin: float = 1.0
    chromatin_sd: float = 0.06
    clumps: float = 0.1
    grain: float = 0.08
    nucleoli: int = 0
    cytoplasm: float = 0.0
    pink: float = 0.0
    lobes: int = 1
    indentation: float = 0.0


# Sizes of white cells follow the diameters measured in the published fields; the rest was set by eye.
KINDS: Mapping[str, Morphology] = MappingProxyType(
    {
        "red": Morphology(radius=3.5, radius_sd=0.22, wobble=0.035),
        "platelet": Morphology(radius=1.15, radius_sd=0.25, wobble=0.2),
        "smudge": Morphology(radius=6.6, radius_sd=1.0, wobble=0.22),
        "precipitate": Morphology(radius=1.6, radius_sd=0.5),
        "lymphocyte": Morphology(
            radius=3.25,
            radius_sd=0.4,
            nucleus=0.9,
            wobble=0.02,
            nuclear_wobble=0.03,
            chromatin=1.5,
            chromatin_sd=0.16,
            clumps=0.2,
            grain=0.18,
            cytoplasm=0.75,
        ),
        "haematogone": Morphology(
            radius=4.1,
            radius_sd=0.45,
            nucleus=0.93,
            wobble=0.02,
            nuclear_wobble=0.03,
            chromatin=1.25,
            chromatin_sd=0.14,
            clumps=0.16,
            grain=0.18,
            cytoplasm=0.7,
        ),
        "early_lymphoblast": Morphology(
            radius=5.6,
            radius_sd=0.5,
            nucleus=0.95,
            wobble=0.055,
            nuclear_wobble=0.045,
            chromatin=1.03,
            chromatin_sd=0.05,
            clumps=0.16,
            grain=0.26,
            nucleoli=2,
            cytoplasm=0.9,
        ),
        "pre_b": Morphology(
            radius=5.45,
            radius_sd=0.8,
            nucleus=0.94,
            wobble=0.035,
            nuclear_wobble=0.035,
            chromatin=1.06,
            chromatin_sd=0.1,
            clumps=0.19,
            grain=0.24,
            nucleoli=1,
            cytoplasm=0.85,
            indentation=0.15,
        ),
        "pro_b": Morphology(
            radius=4.75,
            radius_sd=0.45,
            nucleus=0.96,
            wobble=0.055,
            nuclear_wobble=0.045,
            chromatin=1.0,
            chromatin_sd=0.07,
            clumps=0.17,
            grain=0.18,
            nucleoli=2,
            cytoplasm=0.6,
            indentation=0.25,
        ),
        "neutrophil": Morphology(
            radius=5.0,
            radius_sd=0.4,
            nucleus=0.8,
            wobble=0.04,
            nuclear_wobble=0.05,
            chromatin=1.15,
            chromatin_sd=0.1,
            clumps=0.18,
            grain=0.14,
            cytoplasm=0.12,
            pink=0.45,
            lobes=4,
        ),
        "monocyte": Morphology(
            radius=5.8,
            radius_sd=0.6,
            nucleus=0.8,
            wobble=0.05,
            nuclear_wobble=0.04,
            chromatin=0.85,
            chromatin_sd=0.08,
            clumps=0.2,
            grain=0.16,
            cytoplasm=0.55,
            pink=0.1,
            indentation=0.6,
        ),
        "myelocyte": Morphology(
            radius=5.9,
            radius_sd=0.9,
            nucleus=0.84,
            wobble=0.04,
            nuclear_wobble=0.04,
            chromatin=0.97,
            chromatin_sd=0.1,
            clumps=0.22,
            grain=0.26,
            nucleoli=2,
            cytoplasm=0.7,
            pink=0.25,
        ),
    }
)
WHITE_KINDS = frozenset(name for name, shape in KINDS.items() if shape.nucleus > 0)
