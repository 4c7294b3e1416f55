"""The picture of the way to the first verdict: `python -m tests.project.pages.card_way docs/images/card_way.png`."""

import sys
from pathlib import Path

STEPS = (
    ("1  collect", "on a machine with a network\noffline/collect.sh\nwheels, packages, digests"),
    ("2  flash", "Raspberry Pi OS, 64-bit\nbookworm or trixie\n(or an image of your own)"),
    ("3  install", "install.sh --offline FOLDER\npackages, account, software,\nconfiguration, units"),
    ("4  start", "self-test: golden images\nas certified, or it stays down\nthen camera, gates, model"),
    ("5  verdict", "stored first, then said\nchained by hash\nedge verify, edge export"),
)
CARD = (  # name, width, what lies there, may be written to
    ("/boot/firmware", 1.0, "firmware, kernel\nconfig.txt", False),
    ("/  (root)", 2.4, "/opt/leukoscope   software, root's\n/etc/leukoscope   profile, trusted keys", False),
    (
        "/var/lib/leukoscope",
        2.2,
        "record/   verdicts, images\nbundles/a, b, current\nthe one place that the service writes",
        True,
    ),
)
INK, LINE, CALM, WRITTEN = "#222222", "#5b6770", "#eef1f3", "#f6e7c8"


def draw(to: Path) -> None:
    """Write the picture; needs matplotlib."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt
    from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

    figure, axes = plt.subplots(figsize=(14.5, 4.4), dpi=100)
    axes.set(xlim=(0, 11), ylim=(0, 4.3))
    axes.axis("off")
    for number, (title, text) in enumerate(STEPS):
        left = 0.1 + number * 2.2
        axes.add_patch(FancyBboxPatch((left, 2.55), 1.85, 1.45, "round,pad=0.03", fc=CALM, ec=LINE))
        axes.text(left + 0.08, 3.78, title, fontsize=11, weight="bold", color=INK, va="center")
        axes.text(left + 0.08, 3.1, text, fontsize=7.6, color=INK, va="center", linespacing=1.5)
        if number:
            axes.add_patch(
                FancyArrowPatch(
                    (left - 0.31, 3.25), (left - 0.04, 3.25), arrowstyle="-|>", mutation_scale=11, color=LINE
                )
            )
    axes.text(0.1, 2.1, "The card", fontsize=11, weight="bold", color=INK)
    left = 0.1
    for name, width, text, written in CARD:
        wide = width * 1.9
        axes.add_patch(
            FancyBboxPatch((left, 0.45), wide - 0.15, 1.4, "round,pad=0.03", fc=WRITTEN if written else CALM, ec=LINE)
        )
        axes.text(left + 0.1, 1.6, name, fontsize=9.5, weight="bold", color=INK, va="center")
        axes.text(left + 0.1, 1.0, text, fontsize=8, color=INK, va="center", linespacing=1.5)
        left += wide
    axes.text(
        0.1,
        0.12,
        "pale: can be made read-only; yellow: a partition of its own, where the root is read-only",
        fontsize=8,
        color=LINE,
    )
    figure.savefig(to, bbox_inches="tight", pad_inches=0.1)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m tests.project.pages.card_way PICTURE.png")
    draw(Path(sys.argv[1]))
