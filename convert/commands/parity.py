"""The `convert parity` command."""

from dataclasses import dataclass
from pathlib import Path

from convert.calibration.evaluation_data import ImageFolder
from convert.commands.arguments import float_model_path, image_folder, loading_options, named_policy
from convert.parity.policy import Policy
from convert.parity.verdict import EXIT_CODES
from convert.quantization.float_model import AS_IT_IS, Loading
from edge.commands.command_line import Outcome
from edge.system.files import require_file
from edge.system.option_values import optional_path


@dataclass(frozen=True)
class ParityRequest:
    """Compare a float model with a TFLite file or bundle, without converting anything.

    >>> parity("mobilenet_v2", "other.tflite").int8
    PosixPath('other.tflite')
    """

    model: Path
    int8: Path
    contract: Path | None
    data: ImageFolder | None
    policy: Policy
    report: Path | None
    json: bool
    loading: Loading = AS_IT_IS

    def execute(self) -> Outcome:
        """Exit 0 pass, 1 fail, 3 not enough images to say."""
        from convert.certification.pair import judge_pair

        if self.report is not None:
            require_file(self.report, "--report")
        record, text = judge_pair(
            self.model, self.int8, self.contract, self.data, self.policy, self.report, self.loading
        )
        return Outcome(EXIT_CODES[record["verdict"]], record, text)


def parity(
    model: str,
    int8: str,
    *,
    data: str = "",
    split: str = "",
    contract: str = "",
    policy: str = "",
    report: str = "",
    size: str = "",
    custom: str = "",
    unsafe_lambda: bool = False,
    json: bool = False,
) -> ParityRequest:
    """Does an int8 model decide as its float original does? Exit 0 yes, 1 no, 3 not enough images to say.

    Args:
        model: the float model: .keras, .h5, SavedModel folder, or mobilenet_v2, custom_cnn.
        int8: the TFLite file, or a bundle.
        data: folder with one sub-folder of images a class, which only judge; synthetic fields when not given.
        split: CSV from `models split`; its test part judges. Without it all images do, but those that the bundle was
            calibrated on.
        contract: JSON that says how a frame becomes the model's input.
        policy: TOML with the thresholds; the shipped ones as for quantize.
        report: HTML page to write.
        size: WIDTHxHEIGHT of the input, for a model whose size is not fixed, such as 160x160.
        custom: Python file (or module) that defines the model's own layers and functions; several with commas.
        unsafe_lambda: run the code of Lambda layers that the model file holds; only for a file you trust.
        json: print the record as JSON.
    """
    return ParityRequest(
        float_model_path(model),
        Path(int8),
        optional_path(contract),
        image_folder(data, split),
        named_policy(policy, data),
        optional_path(report),
        json,
        loading_options(size, custom, unsafe_lambda),
    )
