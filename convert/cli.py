"""`convert`: words into requests."""

from pathlib import Path

from convert.calibration.calibration_set import DEFAULT_COUNT
from convert.calibration.evaluation_data import ImageFolder
from convert.calibration.selection import METHODS
from convert.certification.settings import Settings
from convert.commands.calibration import CalibrationRequest
from convert.commands.compile import CompileRequest
from convert.commands.diagnose import DiagnoseRequest
from convert.commands.golden import GoldenRequest
from convert.commands.inspect import InspectRequest, PreflightRequest
from convert.commands.parity import ParityRequest
from convert.commands.quantize import QuantizeRequest
from convert.commands.signing import KeygenRequest, PackRequest, SignRequest, VerifyRequest
from convert.commands.summary import SummaryRequest
from convert.edgetpu.compiler import DEFAULT_TIMEOUT_S
from convert.parity.policy import Policy
from edge.bundle.statement import LARGEST_VERSION
from edge.commands.command_line import Command, Request
from edge.commands.command_line import main as run
from edge.errors import UsageError
from edge.inference.edgetpu_delegate import device_name
from edge.system.option_values import switch, whole_number
from models.data.published import TRAINED, bundles, trained


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
        split: CSV from `models split`; the shipped one for the published set, else made from the images.
        contract: JSON that says how a frame becomes the model's input; beside the model, or inferred and said.
        policy: TOML with the thresholds; convert/parity/policy.toml for real images, else
            convert/parity/policy_synthetic.toml.
        out: folder for the bundles, NAME-int8 each.
        calibration_images: how many images the converter learns its ranges from.
        method: how they are chosen: random, k-center or herding.
        seed: of the choice.
        images_in_report: embed images that changed class in the report; never publish such a bundle.
        force: convert again even when nothing has changed.
        search: try equalization, bias correction, other ranges and calibration sets, and a fine-tune if need be; keep
            what decides most like float on the validation part. Ctrl-C keeps the best so far.
        json: print the certificates as JSON.
    """
    if not switch(int8, "--int8"):
        raise UsageError("convert quantize needs --int8, the one format it writes")
    if io not in ("int8", "uint8"):
        raise UsageError(f"--io must be int8 or uint8; got {io!r}")
    if method not in METHODS:
        raise UsageError(f"--method must be one of {', '.join(METHODS)}; got {method!r}")
    if split and not data:
        raise UsageError("--split divides images: give --data too")
    settings = Settings(
        _policy(policy, data),
        "int8" if io == "int8" else "uint8",
        whole_number(calibration_images, "--calibration-images", at_least=1),
        method,
        whole_number(seed, "--seed"),
        switch(images_in_report, "--images-in-report"),
        switch(force, "--force"),
        switch(search, "--search"),
    )
    return QuantizeRequest(
        tuple(_model(word) for word in models or TRAINED),
        _path(contract),
        _images(data, split),
        settings,
        Path(out),
        switch(json, "--json"),
    )


def parity(
    model: str,
    int8: str,
    *,
    data: str = "",
    split: str = "",
    contract: str = "",
    policy: str = "",
    report: str = "",
    json: bool = False,
) -> ParityRequest:
    """Does an int8 model decide as its float original does? Exit 0 yes, 1 no, 3 not enough images to say.

    Args:
        model: the float model: .keras, .h5, SavedModel folder, or mobilenet_v2, custom_cnn.
        int8: the TFLite file, or a bundle.
        data: folder with one sub-folder of images a class; synthetic fields when not given.
        split: CSV from `models split`; its test part judges.
        contract: JSON that says how a frame becomes the model's input.
        policy: TOML with the thresholds; the shipped ones as for quantize.
        report: HTML page to write.
        json: print the record as JSON.
    """
    return ParityRequest(
        _model(model),
        Path(int8),
        _path(contract),
        _images(data, split),
        _policy(policy, data),
        _path(report),
        switch(json, "--json"),
    )


def calibration(source: str, *, model: str = "", contract: str = "", json: bool = False) -> CalibrationRequest:
    """Look over a calibration set as it stands. Exit 1 when it must not be used.

    Args:
        source: folder of images, a folder a class, or a .npy or .npz with one array (N, height, width, 3).
        model: the float model it is meant for; its contract and training colours are compared.
        contract: the contract alone, when there is no model at hand.
        json: print the record as JSON.
    """
    if not model and not contract:
        raise UsageError("convert calibration needs --model or --contract: it checks a set against what a model is fed")
    return CalibrationRequest(Path(source), _model(model) if model else None, _path(contract), switch(json, "--json"))


def inspect(
    file: str, *, edgetpu: bool = False, plain: str = "", json: bool = False
) -> InspectRequest | PreflightRequest:
    """Say what is inside a TFLite file: operators, tensors, quantization, metadata.

    With --edgetpu: what Coral's compiler would make of it, operator by operator, with the rule and the cure; of a
    compiled file, what is inside. Exit 0 when all of it runs on the Edge TPU, 1 when a part or nothing does.

    Args:
        file: any .tflite.
        edgetpu: predict how it runs on a Coral Edge TPU.
        plain: the file that a compiled one should have been made from; exit 1 when it was not.
        json: print the record as JSON.
    """
    if plain and not switch(edgetpu, "--edgetpu"):
        raise UsageError("--plain names the twin of a compiled file: give --edgetpu too")
    if switch(edgetpu, "--edgetpu"):
        return PreflightRequest(Path(file), _path(plain), switch(json, "--json"))
    return InspectRequest(Path(file), switch(json, "--json"))


def diagnose(
    model: str,
    int8: str = "",
    *,
    data: str,
    images: str = "48",
    split: str = "",
    contract: str = "",
    out: str = "",
    json: bool = False,
) -> DiagnoseRequest:
    """Where does the error of an int8 model come from? Both networks run on the same images, layer by layer.

    Names the causes, ranked, each with its evidence and what to try. Exit 0 when no cause of weight was found, 1 when
    one was, 3 with too few images.

    Args:
        model: the float model: .keras, .h5, SavedModel folder, or mobilenet_v2, custom_cnn.
        int8: the TFLite file, or a bundle; of a shipped network the bundle that ships when left out.
        data: folder with one sub-folder of images a class.
        images: how many are looked at; none of the test part of the split.
        split: CSV from `models split`; the shipped one for the published set, else made from the images.
        contract: JSON that says how a frame becomes the float model's input.
        out: folder for diagnosis.html, diagnosis.png and diagnosis.json.
        json: print the record as JSON.
    """
    if not int8 and model not in TRAINED:
        raise UsageError(f"convert diagnose needs the int8 file or bundle made from {model}, as its second word")
    return DiagnoseRequest(
        _model(model),
        Path(int8) if int8 else bundles() / f"{model}-int8",
        Path(data),
        whole_number(images, "--images", at_least=1),
        _path(split),
        _path(contract),
        _path(out),
        switch(json, "--json"),
    )


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
) -> Request:
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
    from convert.commands.pareto import pareto_request

    return pareto_request(
        models,
        data=data,
        widths=widths,
        sizes=sizes,
        formats=formats,
        weights=weights,
        epochs=epochs,
        split=split,
        out=out,
        json=json,
    )


def compile_(
    model: str,
    *,
    edgetpu: bool = False,
    compiler: str = "",
    timeout: str = str(DEFAULT_TIMEOUT_S),
    out: str = "",
    measure: str = "",
    json: bool = False,
) -> CompileRequest:
    """Compile a model with Coral's own compiler, and check what it made.

    The compiler's table is compared with the prediction of `convert inspect --edgetpu`; its exit code decides nothing.
    Exit 0 when the whole model runs on the Edge TPU, 1 when a part or nothing does or the compiler fails, 4 without a
    compiler.

    Args:
        model: a bundle's folder, which gets the compiled model (and loses its signature), or a .tflite file.
        edgetpu: for a Coral Edge TPU; the one target there is.
        compiler: path of edgetpu_compiler; the one on PATH when left out.
        timeout: seconds, after which it is ended.
        out: folder for what is made: a copy of the bundle, or the compiled file.
        measure: an Edge TPU on this machine (usb, pci, usb:N, pci:N): certify what it answers to the golden images.
        json: print the record as JSON.
    """
    if not switch(edgetpu, "--edgetpu"):
        raise UsageError("convert compile needs --edgetpu, the one target there is")
    seconds = whole_number(timeout, "--timeout", at_least=1, at_most=86_400)
    device = device_name(measure, "--measure") if measure else None
    return CompileRequest(Path(model), _path(compiler), seconds, _path(out), switch(json, "--json"), device)


def golden(*paths: str, json: bool = False) -> GoldenRequest:
    """Choose and certify a bundle's golden images again, without converting it. A signature must be made anew.

    Args:
        paths: folders of bundles.
        json: print what was chosen as JSON, by bundle.
    """
    if not paths:
        raise UsageError("convert golden needs the folder of a bundle, or several")
    return GoldenRequest(tuple(Path(path) for path in paths), switch(json, "--json"))


def summary(*, check: str = "", write: str = "", json: bool = False) -> SummaryRequest:
    """Print the figures of the shipped networks as one table, from their evaluation and certificate files.

    Args:
        check: document whose table must be current; exit 1 when it is not.
        write: document to put the table into, between its markers.
        json: print the rows as JSON.
    """
    return SummaryRequest(_path(check), _path(write), switch(json, "--json"))


def keygen(name: str, *, to: str = ".", passphrase_file: str = "", json: bool = False) -> KeygenRequest:
    """Make a pair of keys: NAME.key signs bundles, NAME.pub lets devices verify them. Neither is ever overwritten.

    Args:
        name: of the files: of whoever signs, and when the key was made.
        to: folder for both; this one when left out.
        passphrase_file: file or pipe whose first line encrypts NAME.key.
        json: print one JSON object.
    """
    return KeygenRequest(name, Path(to), _path(passphrase_file), switch(json, "--json"))


def sign(
    bundle: str,
    *,
    key: str,
    version: str = "",
    passphrase_file: str = "",
    add: bool = False,
    replace: bool = False,
    allow_uncertified: bool = False,
    json: bool = False,
) -> SignRequest:
    """Sign a bundle: manifest.sig says that this bundle, in this version, may run where the key is trusted.

    The bundle is checked in full before. The name that is signed is the folder's.

    Args:
        bundle: its folder.
        key: NAME.key of `convert keygen`.
        version: whole number, above that of every bundle of this name before; the time in UTC when left out, such as
            20261124143000 for 14:30:00 on 24 November 2026.
        passphrase_file: file or pipe whose first line decrypts the key.
        add: put a signature beside those that are there, for the same version.
        replace: sign anew what is signed already, with a higher version.
        allow_uncertified: sign although the certificate does not say "pass".
        json: print one JSON object.
    """
    if switch(add, "--add") and switch(replace, "--replace"):
        raise UsageError("--add keeps the signatures that are there and --replace does not: give one of them")
    return SignRequest(
        Path(bundle),
        Path(key),
        whole_number(version, "--version", at_least=1, at_most=LARGEST_VERSION) if version else None,
        _path(passphrase_file),
        switch(add, "--add"),
        switch(replace, "--replace"),
        switch(allow_uncertified, "--allow-uncertified"),
        switch(json, "--json"),
    )


def verify(bundle: str, *more: str, public: str, json: bool = False) -> VerifyRequest:
    """Is a bundle whole, and signed by one of these keys? Exit code 0 when it is, 1 when not.

    Args:
        bundle: its folder, or a zip file of `convert pack`.
        more: further keys, after the one that --public names.
        public: NAME.pub, or a folder as devices have it, with its revocations.
        json: print one JSON object.
    """
    return VerifyRequest(Path(bundle), tuple(Path(path) for path in (public, *more)), switch(json, "--json"))


def pack(bundle: str, *, to: str, json: bool = False) -> PackRequest:
    """Write a bundle as one zip file, for a USB stick. Equal bundles give equal files.

    Args:
        bundle: its folder.
        to: the file, NAME.zip.
        json: print one JSON object.
    """
    return PackRequest(Path(bundle), Path(to), switch(json, "--json"))


def publish(
    repo: str,
    *,
    keys: str,
    init: bool = False,
    roots: str = "3",
    threshold: str = "2",
    bundle: str = "",
    release: str = "",
    rollout: str = "",
    refresh: bool = False,
    rotate: str = "",
    expires: str = "30",
    passphrase_file: str = "",
    json: bool = False,
) -> Request:
    """Write or change a TUF repository of signed bundles: static files, for any web server, that devices update from.

    One of --init, --bundle, --release, --refresh and --rotate a call. What is there is verified before anything is
    signed on top of it.

    Args:
        repo: its folder.
        keys: folder of the roles' private keys, ROLE.key or ROLE-NAME.key; --init makes them.
        init: begin an empty repository in a new folder.
        roots: root keys that --init makes.
        threshold: how many of them have to sign a new root.
        bundle: signed bundle to offer.
        release: NAME/VERSION that is offered, to give it another --rollout.
        rollout: percentage of devices a release is for, 0 to 100; all of them when left out with --bundle.
        refresh: say anew that this is the newest there is; needs the snapshot and timestamp keys only.
        rotate: folder with new keys for some of the roles, or all; --keys holds the old ones.
        expires: days until devices refuse the repository unless it is refreshed or changed.
        passphrase_file: file or pipe whose first line decrypts, or with --init encrypts, all keys.
        json: print one JSON object.
    """
    from convert.commands.publish import publish_request

    return publish_request(
        repo,
        keys=keys,
        init=init,
        roots=roots,
        threshold=threshold,
        bundle=bundle,
        release=release,
        rollout=rollout,
        refresh=refresh,
        rotate=rotate,
        expires=expires,
        passphrase_file=passphrase_file,
        json=json,
    )


COMMANDS: dict[str, Command] = {
    "quantize": quantize,
    "parity": parity,
    "calibration": calibration,
    "inspect": inspect,
    "diagnose": diagnose,
    "pareto": pareto,
    "compile": compile_,
    "golden": golden,
    "summary": summary,
    "keygen": keygen,
    "sign": sign,
    "verify": verify,
    "pack": pack,
    "publish": publish,
}


def main() -> None:
    """Console script."""
    raise SystemExit(run("convert", COMMANDS))


def _path(text: str) -> Path | None:
    return Path(text) if text else None


def _images(data: str, split: str) -> ImageFolder | None:
    return ImageFolder(Path(data), _path(split)) if data else None


def _policy(text: str, data: str) -> Policy:
    """The policy named; else the shipped one for real images, or for synthetic fields where there are no images."""
    if text:
        return Policy.load(Path(text))
    return Policy.default() if data else Policy.synthetic()


def _model(word: str) -> Path:
    """A shipped network by its name, else a path."""
    return trained(word) / "model.keras" if word in TRAINED else Path(word)


if __name__ == "__main__":
    main()
