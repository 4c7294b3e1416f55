"""The `convert pareto` command."""

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from convert.pareto.formats import FORMATS
from convert.pareto.grid import (
    DEFAULT_SIZES,
    LARGEST_SIZE,
    LEAST_WIDTH,
    MOST_WIDTH,
    OWN_WIDTH,
    SMALLEST_SIZE,
    VARIED,
    Variant,
    variants_of,
    variants_of_shipped,
)
from convert.pareto.record import Comparison
from edge.commands.command_line import INTERRUPTED, Outcome
from edge.errors import ANSWER_IS_NO, DONE, UsageError
from edge.system.files import require_writable, write_whole
from edge.system.option_values import optional_path, whole_number

_log = logging.getLogger(__name__)

DEFAULT_EPOCHS = 5
PAGE, FIGURE, RECORD = "pareto.html", "pareto.png", "pareto.json"


@dataclass(frozen=True)
class ParetoRequest:
    """Compare networks, sizes and formats.

    Attributes:
        models: words of the command line: shipped networks or files.
        widths, sizes: of the shipped MobileNetV2's variants; empty where the networks are taken as they are.
        weights: files of backbone weights, tried in turn for each width that is not the shipped one.

    >>> pareto("mobilenet_v2", data="images", widths="1.0,0.35").widths
    (1.0, 0.35)
    """

    models: tuple[str, ...]
    widths: tuple[float, ...]
    sizes: tuple[int, ...]
    formats: tuple[str, ...]
    weights: tuple[Path, ...]
    data: Path
    split: Path | None
    epochs: int
    out: Path
    json: bool

    def execute(self) -> Outcome:
        """Exit 0 when every point was tried, 1 when none could be measured, 130 when interrupted."""
        from convert.pareto.job import Settings, compare_variants
        from convert.pareto.page import pareto_text

        variants = self._variants()
        require_writable(self.out, "--out")
        (self.out / "points").mkdir(exist_ok=True)
        settings = Settings(variants, self.formats, self.data, self.split, self.epochs, self.out)
        found = compare_variants(settings)
        self._write(found)
        code = INTERRUPTED if found.interrupted else DONE if found.measured else ANSWER_IS_NO
        return Outcome(code, found.to_record(), pareto_text(found))

    def _variants(self) -> tuple[Variant, ...]:
        """Networks to compare; weights are opened to see which width they fit.

        Raises:
            ParetoError: a file that is missing, or no weights for a width.
        """
        if not self.sizes:
            return variants_of(self.models)
        from convert.pareto.backbone_weights import fitting

        needed = [width for width in self.widths if width != OWN_WIDTH]
        return variants_of_shipped(self.widths, self.sizes, fitting(self.weights, needed))

    def _write(self, found: Comparison) -> None:
        from convert.pareto.figure import pareto_figure
        from convert.pareto.page import pareto_page
        from models.report.figure_style import render
        from models.support.records import record_text

        png = render(pareto_figure(found))
        page = pareto_page(found, png)
        write_whole(self.out / FIGURE, png)
        write_whole(self.out / PAGE, page)
        write_whole(self.out / RECORD, record_text(found.to_record()))
        _log.info(f"written: {self.out / PAGE}, {FIGURE}, {RECORD}")


def pareto(
    *models: str,
    data: str,
    widths: str = "",
    sizes: str = "",
    formats: str = "int8,int16x8,float16,float32",
    weights: str = "",
    epochs: str = "",
    split: str = "",
    out: str = "build/pareto",
    json: bool = False,
) -> ParetoRequest:
    """What do a smaller network, a smaller input or another number format cost, and what do they save?

    Accuracy, file, latency on this machine, memory and Edge TPU prediction of every point, as table, figure and page,
    with the Pareto front. Ctrl-C keeps what is finished and shows it; the same command continues. Exit 1 when no
    point could be measured, 3 with too few test images.

    Args:
        models: mobilenet_v2 alone is varied in width and size; other networks, named or as files, are compared as they
            are.
        data: folder with one sub-folder of images a class.
        widths: of mobilenet_v2, such as 1.0,0.35; 1.0 when left out. Others need --weights.
        sizes: of its input, pixels a side; 224,160,96 when left out. Each but the shipped 224 is trained, in minutes to
            an hour.
        formats: some of int8, int16x8, float16, float32.
        weights: ImageNet weights of the backbone for further widths, FILE or FILE,FILE; which fits which is found out.
        epochs: of each training; 5 when left out.
        split: CSV from `models split`; the shipped one for the published set, else made from the images.
        out: folder for trained variants, converted files, pareto.html, pareto.png and pareto.json.
        json: print the record as JSON.
    """
    if not models:
        raise UsageError(f"convert pareto needs {VARIED}, or the files of networks to compare")
    varied = tuple(models) == (VARIED,)
    if not varied:
        _refuse_variants(models, {"--widths": widths, "--sizes": sizes, "--weights": weights, "--epochs": epochs})
    return ParetoRequest(
        models=tuple(models),
        widths=_widths(widths) if varied else (),
        sizes=_sizes(sizes) if varied else (),
        formats=_formats(formats),
        weights=tuple(Path(word) for word in weights.split(",") if word),
        data=Path(data),
        split=optional_path(split),
        epochs=whole_number(epochs, "--epochs", at_least=1, at_most=1000) if epochs else DEFAULT_EPOCHS,
        out=Path(out),
        json=json,
    )


def _refuse_variants(models: Sequence[str], words: dict[str, str]) -> None:
    """Options that ask for training, beside networks that are taken as they are."""
    given = [option for option, value in words.items() if value]
    if not given:
        return
    if tuple(models) == ("custom_cnn",):
        raise UsageError(
            f"{given[0]} varies {VARIED} only: custom_cnn ends in a dense layer over all positions, so another width or"
            " size is a new network, trained from scratch in many epochs: train it with models train, and compare files"
        )
    raise UsageError(f"{given[0]} varies {VARIED}, named alone; other networks are compared as they are, at any size")


def _widths(text: str) -> tuple[float, ...]:
    found = []
    for word in (text or "1.0").split(","):
        try:
            width = float(word)
        except ValueError:
            raise UsageError(f"--widths must be numbers such as 1.0,0.35; got {word!r}") from None
        if not (math.isfinite(width) and LEAST_WIDTH <= width <= MOST_WIDTH):
            raise UsageError(f"--widths must be within {LEAST_WIDTH:g}..{MOST_WIDTH:g}; got {word}")
        found.append(width)
    return tuple(dict.fromkeys(found))


def _sizes(text: str) -> tuple[int, ...]:
    words = text.split(",") if text else [str(size) for size in DEFAULT_SIZES]
    sizes = [whole_number(word, "--sizes", at_least=SMALLEST_SIZE, at_most=LARGEST_SIZE) for word in words]
    return tuple(dict.fromkeys(sizes))


def _formats(text: str) -> tuple[str, ...]:
    found = tuple(dict.fromkeys(text.split(",")))
    for word in found:
        if word not in FORMATS:
            raise UsageError(f"--formats must be some of {', '.join(FORMATS)}; got {word!r}")
    return found
