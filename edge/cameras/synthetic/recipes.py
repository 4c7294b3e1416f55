"""The four recipes of the synthetic smear: stain, illumination and counts as measured on the published classes.

Every figure in `STYLES` comes from `python -m docs.studies.networks.smear_statistics FOLDER` on the 2,848 published
fields for development (443 Benign, 857 Early, 847 Pre, 701 Pro; 224x224): k-means with three groups a class on
illumination, stain and coverage, groups below 2 % of their class left out. Densities are apparent optical
densities, -log10(I / I0), of what the camera's tone curve made of the smear. What cannot be read off a
224x224 field (shares of the kinds of cell, outline, chromatin) was set by eye beside those fields and says
so. No figure was fitted to a network's answer.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from edge.cameras.synthetic.cell_types import KINDS
from edge.errors import SmearError

Triple = tuple[float, float, float]

# Red cells of the published fields measure 17 to 20 pixels across at 299x224 (4:3); taken as 6.3 to 7.3 um.
PUBLISHED_UM_PER_PX = 0.36
PUBLISHED_FIELD_UM = (299 * PUBLISHED_UM_PER_PX, 224 * PUBLISHED_UM_PER_PX)


# Six colour numbers a field (mean and standard deviation of R, G, B without the scale bar's corner): their
# mean over the fields of each class, and their standard deviation from field to field. Measured as STYLES.
MEASURED_COLOURS: dict[str, tuple[tuple[float, ...], tuple[float, ...]]] = {
    "Benign": ((212.3, 217.8, 232.7, 32.1, 36.4, 13.6), (15.7, 9.9, 7.9, 4.6, 6.6, 2.9)),
    "Early": ((208.3, 217.2, 237.2, 34.3, 38.3, 14.7), (7.2, 5.5, 4.3, 3.6, 4.4, 2.2)),
    "Pre": ((193.8, 206.4, 243.3, 40.2, 43.3, 10.0), (11.4, 10.8, 7.2, 3.6, 4.3, 2.8)),
    "Pro": ((231.4, 233.5, 241.1, 24.7, 24.7, 11.5), (5.9, 5.2, 4.1, 4.3, 3.5, 2.0)),
}
COLOUR_TOLERANCE = 1.0  # mean over a recipe's fields, in those standard deviations
MEASURED_WHITE_CELLS: dict[str, float] = {"Benign": 12.2, "Early": 8.4, "Pre": 23.6, "Pro": 6.0}
WHITE_TOLERANCE = 0.25  # relative, of the number of white cells in a field


@dataclass(frozen=True)
class Style:
    """One group of fields of a class: R, G, B figures with their spread from field to field.

    Attributes:
        share: part of the class, 0..1.
        background, background_sd: light in the middle of the frame, grey levels (above 255: clipped by the
        camera). falloff: change of that light at the middle of an edge, grey levels.
        white_density, white_sd: median optical density inside white cells, and its relative spread.
        red_density, red_sd: 75th percentile of optical density inside red cells, and its relative spread.
        white_count: white cells in a field of PUBLISHED_FIELD_UM.
        red_share: part of such a field covered by red cells, 0..1.
        red_diameter: um.
        pallor: depth of the red cells' pale centre, 0 none .. 1.3 empty (by eye).
        chain: mean number of red cells that lie in one chain or clump (by eye).
        white_scale: size of white cells against `KINDS`.
        debris: number of platelets, smudge cells and grains against the recipe's extras (by eye).
    """

    share: float
    background: Triple
    background_sd: Triple
    falloff: Triple
    white_density: Triple
    white_sd: float
    red_density: Triple
    red_sd: float
    white_count: float
    red_share: float
    red_diameter: float
    pallor: float
    chain: float
    white_scale: float = 1.0
    debris: float = 1.0


@dataclass(frozen=True)
class Recipe:
    """What a slide is made of. The last five were set by eye.

    Attributes:
        name: the published class it follows.
        styles: the groups its slides are drawn from, by share.
        mix: relative frequency of each kind of white cell.
        cluster: mean number of white cells that lie together.
        crenation: part of the red cells with a scalloped outline, 0..1.
        straight: 0 clumps .. 1 straight rolls, for chains of red cells.
        extras: per field of PUBLISHED_FIELD_UM, the number of platelets, smudge cells and grains of
            precipitate.
    """

    name: str
    styles: tuple[Style, ...]
    mix: Mapping[str, float]
    cluster: float = 1.2
    crenation: float = 0.0
    straight: float = 0.5
    extras: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        unknown = sorted((set(self.mix) | set(self.extras)) - set(KINDS))
        if unknown:
            raise SmearError(f"mix and extras must name kinds of cell ({', '.join(KINDS)}); got {unknown[0]!r}")
        if not self.styles or not self.mix:
            raise SmearError(f"recipe {self.name!r} must have at least one style and one kind in its mix")
        if any(weight < 0 for weight in (*self.mix.values(), *self.extras.values())):
            raise SmearError(f"mix and extras of recipe {self.name!r} must be >= 0")


STYLES: dict[str, tuple[Style, ...]] = {
    "Benign": (
        Style(0.66, (249.9, 256.1, 240.7), (2.8, 0.8, 5.6), (-7.8, -5.7, 1.7), (0.186, 0.242, -0.007), 0.20,
              (0.146, 0.118, 0.056), 0.20, 10.8, 0.49, 6.9, 0.20, 1.9, 1.12),
        Style(0.34, (254.2, 255.8, 248.1), (3.3, 1.1, 3.6), (-4.7, -7.5, 2.1), (0.226, 0.442, 0.005), 0.18,
              (0.079, 0.089, 0.047), 0.12, 14.9, 0.27, 6.3, 0.75, 1.2, 0.92),
    ),
    "Early": (
        Style(0.39, (249.2, 256.7, 247.3), (2.6, 0.8, 4.0), (-9.7, -8.5, 0.2), (0.211, 0.322, -0.003), 0.07,
              (0.135, 0.121, 0.055), 0.11, 7.7, 0.39, 7.4, 0.40, 2.2),
        Style(0.34, (243.8, 256.9, 252.3), (3.1, 0.9, 3.3), (-9.8, -10.0, -0.7), (0.200, 0.305, 0.000), 0.07,
              (0.175, 0.152, 0.073), 0.08, 10.2, 0.35, 7.6, 0.20, 3.4),
        Style(0.27, (250.3, 256.6, 243.6), (2.7, 0.8, 5.3), (-9.3, -7.6, 0.9), (0.176, 0.262, -0.008), 0.09,
              (0.131, 0.117, 0.046), 0.13, 7.2, 0.38, 7.1, 0.40, 1.8),
    ),
    "Pre": (
        Style(0.50, (242.1, 256.0, 251.7), (3.3, 1.1, 2.7), (-6.8, -8.0, -0.7), (0.165, 0.236, -0.001), 0.08,
              (0.196, 0.142, 0.027), 0.08, 25.4, 0.26, 7.0, 0.95, 1.3),
        Style(0.36, (241.4, 256.1, 250.4), (3.2, 1.0, 2.9), (-7.7, -8.6, -0.5), (0.214, 0.285, -0.002), 0.11,
              (0.213, 0.154, 0.037), 0.06, 29.5, 0.30, 7.0, 0.80, 1.6, 0.92),
        Style(0.14, (252.3, 256.3, 235.0), (1.9, 0.7, 5.0), (-9.5, -5.4, 3.0), (0.189, 0.302, -0.021), 0.15,
              (0.272, 0.188, 0.068), 0.14, 2.7, 0.28, 7.0, 0.30, 2.5, 1.32, 0.25),
    ),
    "Pro": (
        Style(0.64, (255.2, 256.3, 248.2), (0.6, 0.6, 2.2), (-4.6, -5.1, 2.2), (0.072, 0.173, -0.006), 0.12,
              (0.133, 0.108, 0.053), 0.08, 7.1, 0.35, 6.4, 0.75, 1.6),
        Style(0.36, (255.4, 256.2, 247.2), (0.5, 0.4, 4.5), (-4.9, -5.0, 2.4), (0.057, 0.170, -0.007), 0.11,
              (0.094, 0.081, 0.039), 0.11, 4.6, 0.25, 6.3, 0.95, 1.1),
    ),
}  # fmt: skip

RECIPES: dict[str, Recipe] = {
    "Benign": Recipe(
        "Benign",
        STYLES["Benign"],
        {"lymphocyte": 0.30, "haematogone": 0.18, "neutrophil": 0.20, "monocyte": 0.10, "myelocyte": 0.22},
        cluster=1.3,
        crenation=0.45,
        straight=0.2,
        extras={"platelet": 3.0, "smudge": 0.15, "precipitate": 0.8},
    ),
    "Early": Recipe(
        "Early",
        STYLES["Early"],
        {"early_lymphoblast": 0.93, "lymphocyte": 0.04, "neutrophil": 0.03},
        cluster=1.3,
        crenation=0.12,
        straight=0.75,
        extras={"platelet": 1.2, "smudge": 0.25, "precipitate": 0.8},
    ),
    "Pre": Recipe(
        "Pre",
        STYLES["Pre"],
        {"pre_b": 0.90, "lymphocyte": 0.07, "monocyte": 0.02, "neutrophil": 0.01},
        cluster=1.9,
        crenation=0.0,
        straight=0.4,
        extras={"platelet": 0.8, "smudge": 2.0},
    ),
    "Pro": Recipe(
        "Pro",
        STYLES["Pro"],
        {"pro_b": 0.92, "lymphocyte": 0.05, "neutrophil": 0.03},
        cluster=1.3,
        crenation=0.02,
        straight=0.4,
        extras={"platelet": 0.7, "smudge": 0.5},
    ),
}
