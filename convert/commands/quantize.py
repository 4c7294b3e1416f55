"""The `convert quantize` command."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from convert.calibration.calibration_set import DEFAULT_COUNT
from convert.calibration.evaluation_data import ImageFolder
from convert.calibration.selection import METHODS
from convert.certification.settings import Settings
from convert.commands.arguments import float_model_path, image_folder, loading_options, named_policy
from convert.parity.verdict import EXIT_CODES
from convert.quantization.float_model import AS_IT_IS, Loading
from edge.bundle.statement import BUNDLE_NAME
from edge.commands.command_line import Outcome
from edge.errors import ANSWER_IS_NO, DONE, NOT_ENOUGH_EVIDENCE, UsageError
from edge.inference.domain import domain_named
from edge.system.files import require_writable
from edge.system.option_values import labels_given, optional_path, whole_number
from models.data.published import TRAINED


@dataclass(frozen=True)
class QuantizeRequest:
    """Convert models to certified int8 bundles.

    Attributes:
        models: files or folders of float models; a bundle is named after each.
        contract: of the models; found beside each model or inferred when None.
        data: images, a folder a class; synthetic fields when None.
        loading: what the models' files leave open.

    >>> quantize("dots.keras", int8=True, seed="3").settings.seed
    3
    """

    models: tuple[Path, ...]
    contract: Path | None
    data: ImageFolder | None
    settings: Settings
    out: Path
    json: bool
    loading: Loading = AS_IT_IS

    def execute(self) -> Outcome:
        """One bundle a model; the exit code is that of the worst verdict."""
        from convert.certification.job import quantize_model
        from convert.parity.verdict_table import verdict_table

        require_writable(self.out, "--out")
        certificates: list[dict[str, Any]] = []
        for number, path in enumerate(self.models, start=1):
            certificates.append(quantize_model(path, self.contract, self.data, self.settings, self.out, self.loading))
            if certificates[-1].get("search", {}).get("interrupted") and number < len(self.models):
                raise KeyboardInterrupt  # whoever stopped a search did not mean to begin another
        worst = max(
            (EXIT_CODES[c["verdict"]] for c in certificates),
            key=[DONE, NOT_ENOUGH_EVIDENCE, ANSWER_IS_NO].index,
        )
        return Outcome(worst, {"bundles": certificates}, verdict_table(certificates, self._folders()))

    def _folders(self) -> list[Path]:
        from convert.quantization.float_model import model_name

        return [self.out / f"{model_name(path)}-{self.settings.io}" for path in self.models]


def quantize(
    *models: str,
    int8: bool = False,
    io: str = "int8",
    data: str = "",
    split: str = "",
    contract: str = "",
    policy: str = "",
    out: str = "build/bundles",
    calibration_images: str = str(DEFAULT_COUNT),
    method: str = "random",
    seed: str = "0",
    images_in_report: bool = False,
    force: bool = False,
    search: bool = False,
    benign: tuple[str, ...] = (),
    gates: str = "",
    domain: str = "",
    size: str = "",
    custom: str = "",
    unsafe_lambda: bool = False,
    json: bool = False,
) -> QuantizeRequest:
    """Convert float classifiers to full-int8 TFLite and prove that they decide alike.

    Without MODEL both shipped networks are converted. Without --data, synthetic fields calibrate and judge:
    agreement only. Exit 0 all passed, 1 one failed, 3 not enough images to say.

    Args:
        models: .keras or .h5 files, SavedModel folders, or mobilenet_v2, custom_cnn.
        int8: full-int8 weights and activations; the one format there is.
        io: int8, or uint8 for runtimes that refuse int8 inputs (MediaPipe Tasks).
        data: folder with one sub-folder of images a class.
        split: CSV from `models split`; for a network from `models adapt` the one beside it, for the published set the
            shipped one, else made from the images.
        contract: JSON that says how a frame becomes the model's input; beside the model, or inferred and said.
        policy: TOML with the thresholds; convert/parity/policy.toml for real images, policy_site.toml beside it for a
            network from `models adapt`, policy_synthetic.toml without images.
        out: folder for the bundles, NAME-int8 each.
        calibration_images: how many images the converter learns its ranges from.
        method: how they are chosen: random, k-center or herding.
        seed: of the choice.
        images_in_report: embed images that changed class in the report; never publish such a bundle.
        force: convert again even when nothing has changed.
        benign: label whose wrong answer is the worst there is; several: once each, or with commas. Without it a label
            spelt "benign".
        gates: gates.json that says when the model must not be asked; the one beside the model when left out, else one
            fitted to the images of --data.
        domain: what the images show: "blood smear" for stained smears, else "any"; that of the contract when left out.
        search: try equalization, bias correction, other ranges and calibration sets, and a fine-tune if need be; keep
            what decides most like float on the validation part. Ctrl-C keeps the best so far.
        size: WIDTHxHEIGHT of the input, for a model whose size is not fixed, such as 160x160.
        custom: Python file (or module) that defines the model's own layers and functions; several with commas.
        unsafe_lambda: run the code of Lambda layers that the model file holds; only for a file you trust.
        json: print the certificates as JSON.
    """
    if not int8:
        raise UsageError("convert quantize needs --int8, the one format it writes")
    if io not in ("int8", "uint8"):
        raise UsageError(f"--io must be int8 or uint8; got {io!r}")
    if method not in METHODS:
        raise UsageError(f"--method must be one of {', '.join(METHODS)}; got {method!r}")
    if split and not data:
        raise UsageError("--split divides images: give --data too")
    paths = tuple(float_model_path(word) for word in models or TRAINED)
    settings = Settings(
        named_policy(policy, data, paths),
        "int8" if io == "int8" else "uint8",
        whole_number(calibration_images, "--calibration-images", at_least=1),
        method,
        whole_number(seed, "--seed"),
        images_in_report,
        force,
        search,
        labels_given(benign),
        gates=optional_path(gates),
        domain=domain_named(domain),
    )
    _check_names(paths, io)
    return QuantizeRequest(
        paths,
        optional_path(contract),
        image_folder(data, split, paths),
        settings,
        Path(out),
        json,
        loading_options(size, custom, unsafe_lambda),
    )


def _check_names(paths: tuple[Path, ...], io: str) -> None:
    """UsageError unless every model makes a bundle of its own, under a name that can be signed."""
    from convert.quantization.float_model import model_name

    made: dict[str, Path] = {}
    for path in paths:
        bundle = f"{model_name(path)}-{io}"
        if bundle in made:
            raise UsageError(
                f"{made[bundle]} and {path} would both become the bundle {bundle}: rename one, or convert each with "
                "an --out of its own"
            )
        if not BUNDLE_NAME.fullmatch(bundle):
            raise UsageError(
                f"a bundle is named after its model, 1 to 64 of A-Z a-z 0-9 . _ -, the first a letter or digit; "
                f"{path} would make {bundle!r}, which could not be signed: rename it"
            )
        made[bundle] = path
