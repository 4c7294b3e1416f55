"""The colours of both themes, by WCAG 2.2's contrasts, and that dark is dark."""

import re

import pytest

from edge.page.front.assets import assets

TEXT, CONTROL = 4.5, 3.0  # 1.4.3 and 1.4.11
ON_GROUND = ("ink", "soft", "accent", "pass", "fail", "unsure", "benign", "suspicious", "refused")
GROUNDS = ("paper", "panel", "shade")
PAIRS = [(ink, ground, TEXT) for ink in ON_GROUND for ground in GROUNDS] + [
    ("on-accent", "accent", TEXT),
    ("on-accent", "accent-strong", TEXT),
    ("on-stop", "stop", TEXT),
    ("on-care", "care", TEXT),
    ("on-strip", "strip", TEXT),
    ("on-simulated", "simulated", TEXT),
    ("soft", "stage", TEXT),
    *[("edge", ground, CONTROL) for ground in GROUNDS],
    *[("focus", ground, CONTROL) for ground in GROUNDS],
    ("bar", "shade", CONTROL),
    ("bar", "good", CONTROL),
    ("peak", "shade", CONTROL),
    ("peak", "good", CONTROL),
]


def tokens(css: str) -> dict[str, str]:
    return dict(re.findall(r"--([\w-]+):\s*(#[0-9a-fA-F]{6})", css))


def palettes() -> dict[str, dict[str, str]]:
    """Both themes, each with the tokens of the reports below its own."""
    reports, bench = (assets()[name].data.decode() for name in ("style.css", "bench.css"))
    base = tokens(reports)
    light, by_system, by_switch = re.findall(r":root[^{]*\{([^}]*)\}", bench)
    assert tokens(by_system) == tokens(by_switch)
    return {"light": base | tokens(light), "dark": base | tokens(light) | tokens(by_switch)}


def luminance(colour: str) -> float:
    """Relative luminance, 0..1 (WCAG 2.2)."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_contrast_is_that_of_the_standard() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)  # negative control: just not enough


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_pair_of_colours_has_its_contrast(theme: str) -> None:
    palette = palettes()[theme]
    short = {
        f"{ink} on {ground}": round(found, 2)
        for ink, ground, least in PAIRS
        if (found := contrast(palette[ink], palette[ground])) < least
    }
    assert short == {}


def test_dark_is_dark_and_its_letters_do_not_glare() -> None:
    dark = palettes()["dark"]
    assert all(luminance(dark[name]) < 0.006 for name in (*GROUNDS, "stage"))
    assert luminance(dark["ink"]) < 0.6
    assert luminance(palettes()["light"]["paper"]) == 1  # negative control


def test_classes_stay_apart_for_the_colour_blind() -> None:
    """Deuteranopes and protanopes (Viénot, Brettel and Mollon 1999) tell benign and suspicious apart."""
    for palette in palettes().values():
        for matrix in (
            ((0.29275, 0.70725, 0.0), (0.29275, 0.70725, 0.0), (-0.02234, 0.02234, 1.0)),
            ((0.11238, 0.88762, 0.0), (0.11238, 0.88762, 0.0), (0.00401, -0.00401, 1.0)),
        ):
            seen = [_seen(palette[name], matrix) for name in ("benign", "suspicious")]
            assert max(abs(a - b) for a, b in zip(*seen, strict=True)) > 0.1
            same = [_seen(colour, matrix) for colour in ("#a05a00", "#8a6200")]  # negative control: a red and a green
            assert max(abs(a - b) for a, b in zip(*same, strict=True)) < 0.05


def _seen(colour: str, matrix: tuple[tuple[float, ...], ...]) -> list[float]:
    linear = [((int(colour[at : at + 2], 16) / 255) ** 2.2) for at in (1, 3, 5)]
    return [max(0.0, sum(weight * part for weight, part in zip(row, linear, strict=True))) for row in matrix]
