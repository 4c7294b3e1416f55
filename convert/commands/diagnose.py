"""The `convert diagnose` command."""

import logging
from dataclasses import dataclass
from pathlib import Path

from convert.commands.arguments import float_model_path, loading_options
from convert.diagnosis.record import DiagnosisRecord
from convert.quantization.float_model import AS_IT_IS, Loading
from edge.commands.command_line import Outcome
from edge.errors import ANSWER_IS_NO, DONE, UsageError
from edge.system.files import require_writable, write_whole
from edge.system.option_values import optional_path, whole_number
from models.data.published import TRAINED, bundles
from models.support.records import record_text

_log = logging.getLogger(__name__)

PAGE, FIGURE, RECORD = "diagnosis.html", "diagnosis.png", "diagnosis.json"


@dataclass(frozen=True)
class DiagnoseRequest:
    """Say where the error of an int8 file comes from.

    Attributes:
        model: the float network. int8: a TFLite file or a bundle. contract: found or inferred when None.
        images: wanted. out: folder for page, figure and record; None writes nothing.

    >>> diagnose("dots.keras", "dots.tflite", data="images").images
    48
    """

    model: Path
    int8: Path
    data: Path
    images: int
    split: Path | None
    contract: Path | None
    out: Path | None
    json: bool
    loading: Loading = AS_IT_IS

    def execute(self) -> Outcome:
        """Exit 1 when a cause of weight was found, 3 with too few images."""
        from convert.calibration.evaluation_data import ImageFolder
        from convert.diagnosis import job
        from convert.diagnosis.page import diagnosis_text

        if self.out is not None:
            require_writable(self.out, "--out")
        data = ImageFolder(self.data, self.split)
        found = job.diagnose(self.model, self.int8, self.contract, data, self.images, self.loading)
        if self.out is not None:
            _write(self.out, found.record)
        code = ANSWER_IS_NO if found.record.verdict == "fault" else DONE
        return Outcome(code, found.record.to_record(), diagnosis_text(found.record))


@dataclass(frozen=True)
class ForecastRequest:
    """Say what conversion of a float network will meet.

    >>> diagnose("dots.keras").model.name
    'dots.keras'
    """

    model: Path
    json: bool
    loading: Loading = AS_IT_IS

    def execute(self) -> Outcome:
        """Exit 1 when something stands in the way."""
        from convert.diagnosis.before_conversion import forecast

        found = forecast(self.model, self.loading)
        return Outcome(DONE if found.converts else ANSWER_IS_NO, found.to_record(), found.to_text())


def _write(folder: Path, record: DiagnosisRecord) -> None:
    """Page, figure and record, each whole or not at all."""
    from convert.diagnosis.figure import diagnosis_figure
    from convert.diagnosis.page import diagnosis_page
    from models.report.figure_style import render

    png = render(diagnosis_figure(record))
    page = diagnosis_page(record, png)
    write_whole(folder / FIGURE, png)
    write_whole(folder / PAGE, page)
    write_whole(folder / RECORD, record_text(record.to_record()))
    _log.info(f"written: {folder / PAGE}, {FIGURE}, {RECORD}")


def diagnose(
    model: str,
    int8: str = "",
    *,
    data: str = "",
    images: str = "48",
    split: str = "",
    contract: str = "",
    out: str = "",
    size: str = "",
    custom: str = "",
    unsafe_lambda: bool = False,
    json: bool = False,
) -> DiagnoseRequest | ForecastRequest:
    """Where does the error of an int8 model come from? Both networks run on the same images, layer by layer.

    Names the causes, ranked, each with its evidence and what to try. Exit 0 when no cause of weight was found, 1 when
    one was, 3 with too few images. With MODEL alone: will it convert? Layers without an int8 form are named, with what
    to use instead; exit 1 when there are any.

    Args:
        model: the float model: .keras, .h5, SavedModel folder, or mobilenet_v2, custom_cnn.
        int8: the TFLite file, or a bundle; of a shipped network the bundle that ships when left out.
        data: folder with one sub-folder of images a class; needed with an int8 file.
        images: how many are looked at; none of the test part of the split.
        split: CSV from `models split`; the shipped one for the published set, else made from the images.
        contract: JSON that says how a frame becomes the float model's input.
        out: folder for diagnosis.html, diagnosis.png and diagnosis.json.
        size: WIDTHxHEIGHT of the input, for a model whose size is not fixed, such as 160x160.
        custom: Python file (or module) that defines the model's own layers and functions; several with commas.
        unsafe_lambda: run the code of Lambda layers that the model file holds; only for a file you trust.
        json: print the record as JSON.
    """
    if not int8 and not data:
        return ForecastRequest(float_model_path(model), json, loading_options(size, custom, unsafe_lambda))
    if not data:
        raise UsageError("convert diagnose needs --data, a folder of images, to compare MODEL with its int8 file")
    if not int8 and model not in TRAINED:
        raise UsageError(f"convert diagnose needs the int8 file or bundle made from {model}, as its second word")
    return DiagnoseRequest(
        float_model_path(model),
        Path(int8) if int8 else bundles() / f"{model}-int8",
        Path(data),
        whole_number(images, "--images", at_least=1),
        optional_path(split),
        optional_path(contract),
        optional_path(out),
        json,
        loading_options(size, custom, unsafe_lambda),
    )
