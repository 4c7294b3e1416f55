"""The exceptions of `edge`. Each knows the exit code of a command that it ends (DESIGN: exit codes), and what part of a
device it is about: the cures of a damaged record and of a failed self-test, which share a code, exclude each other."""

from typing import ClassVar


class LeukoscopeError(Exception):
    """Base of all errors this project raises on purpose. Cause: the request; cure: what the message names."""

    exit_code: ClassVar[int] = 2
    concerns: ClassVar[str] = "request"  # or bundle, camera, edgetpu, keys, profile, record, selftest, software, system


class EdgeError(LeukoscopeError):
    """Base of the errors of `edge`."""


class ContractError(EdgeError, ValueError):
    """An input contract that cannot be met or does not fit the model. Cure: correct the field it names."""

    concerns: ClassVar[str] = "bundle"


class FrameError(EdgeError, ValueError):
    """A frame that is not uint8 (H, W, 3). Cure: convert it where it was captured."""

    concerns: ClassVar[str] = "camera"


class ImageFileError(EdgeError, ValueError):
    """A file that holds no image that can be judged. Cure: replace or remove the file.

    Attributes:
        reason: a stable name, a key of `edge.inference.images.REASONS`.
    """

    def __init__(self, message: str, reason: str = "unreadable") -> None:
        super().__init__(message)
        self.reason = reason


class BundleError(EdgeError, ValueError):
    """A bundle that is incomplete, altered or not certified. Cure: fetch or build it again."""

    concerns: ClassVar[str] = "bundle"


class GatesError(EdgeError, ValueError):
    """A `gates.json` that is no such file, or whose limits cannot be. Cure: fit it anew: `convert gates BUNDLE --data
    DIR`."""

    concerns: ClassVar[str] = "bundle"


class SignatureError(BundleError):
    """A bundle that is not signed by whom this machine trusts, or that was revoked. Cure: have it signed, or fetch it
    again from who signed it."""


class AcceptanceError(BundleError):
    """A bundle that the site of this device did not accept. Cure: `convert accept BUNDLE --data DIR`, or `study = true`
    in `[site]` of the profile."""


class KeyFileError(EdgeError, ValueError):
    """A file that is not the key it should be. Cure: name the right file, or make a new pair with `convert keygen`."""

    concerns: ClassVar[str] = "keys"


class TrustError(EdgeError, ValueError):
    """A folder of trusted keys that cannot be read as it stands. Cure: correct or remove the file it names."""

    concerns: ClassVar[str] = "keys"


class TrustUnavailable(EdgeError, ImportError):  # noqa: N818  (the state of a machine, not a mistake)
    """What verifies signatures is not installed. Cure: install the extra the message names."""

    exit_code: ClassVar[int] = 4
    concerns: ClassVar[str] = "software"


class GoldenMismatchError(EdgeError, RuntimeError):
    """The model answers otherwise here than where it was certified. Cure: another runtime, or a sound one."""

    exit_code: ClassVar[int] = 1
    concerns: ClassVar[str] = "selftest"


class ModelFileError(EdgeError, ValueError):
    """A TFLite file no interpreter can load, or that is no classifier. Cure: convert it again."""

    concerns: ClassVar[str] = "bundle"


class FlatbufferError(EdgeError, ValueError):
    """A FlatBuffer that refers to what lies outside it, or to what makes no sense. Cause: damage.

    Names no file: readers narrow it to `ModelFileError`, or `convert` to its own, and say which.
    """

    concerns: ClassVar[str] = "bundle"


class UnsafeOperatorError(FlatbufferError):
    """An operator, in a file that is whole, that makes a kernel end the process. Cause: the numbers a converter gave
    it. Cure: change the layer it comes from."""


class InterpreterUnavailable(EdgeError, ImportError):  # noqa: N818  (the state of a machine, not a mistake)
    """No such TFLite interpreter on this machine. Cure: install the extra the message names."""

    exit_code: ClassVar[int] = 4
    concerns: ClassVar[str] = "software"


class EdgeTpuUnavailable(EdgeError, RuntimeError):  # noqa: N818  (the state of a machine, not a mistake)
    """The Edge TPU cannot be used. Cure: what the message names.

    Attributes:
        cause: "library", "runtime", "device", "permission", "busy", "mismatch" or, while it runs, "lost".
    """

    exit_code: ClassVar[int] = 4
    concerns: ClassVar[str] = "edgetpu"

    def __init__(self, cause: str, message: str) -> None:
        super().__init__(message)
        self.cause = cause


class SmearError(EdgeError, ValueError):
    """A synthetic smear asked for something that cannot be drawn. Cure: correct the argument it names."""


class CameraError(EdgeError):
    """Base of what can go wrong with a camera. Cause: the machine, seldom the request."""

    exit_code: ClassVar[int] = 4
    concerns: ClassVar[str] = "camera"


class CameraSettingsError(CameraError, ValueError):
    """Settings or a camera URI that make no sense, or that this camera cannot meet. Cure: correct what it names."""

    exit_code: ClassVar[int] = 2


class CameraNotFound(CameraError, FileNotFoundError):  # noqa: N818  (states of a machine, here and below)
    """No such camera. Cure: plug it in, enable it, or name one of those listed."""


class CameraBusy(CameraError, BlockingIOError):  # noqa: N818
    """Another process holds the camera. Cure: end it."""


class CameraUnavailable(CameraError, ImportError):  # noqa: N818
    """A package or a permission that the camera's backend needs is missing. Cure: what the message names."""


class CameraTimeout(CameraError, TimeoutError):  # noqa: N818
    """No frame in time. Cause: a stalled camera or cable; cure: close, open and configure it again."""


class CameraLost(CameraError, ConnectionError):  # noqa: N818
    """The camera went away, or only pretends to be there. Cure: plug it in again, then open it again."""


class CameraSetupError(CameraError, ValueError):
    """A set-up that cannot be measured, read or confirmed: it was made for another camera or frame, its files are
    damaged, or the camera does not do what was locked. Cure: what the message names, then `edge setup-camera`."""


class EmptyFieldError(CameraSetupError):
    """What is in view is no field that a camera can be set up on. Cure: what the message names: another field, a
    cleaner one, less or more light.

    Exit code 1: it was looked at, and the answer is no. Only the command that looks ends with it, never a run."""

    exit_code: ClassVar[int] = 1
    concerns: ClassVar[str] = "request"


class FrameCorrupt(CameraError, ValueError):  # noqa: N818
    """One frame that cannot be read. The next may be sound.

    Attributes:
        reason: why, as `ImageFileError.reason`.
    """

    def __init__(self, message: str, reason: str = "damaged_image") -> None:
        super().__init__(message)
        self.reason = reason


class EndOfFrames(CameraError, EOFError):  # noqa: N818
    """A replay has no further frame. Not a fault."""


class SettingsError(EdgeError, ValueError):
    """A profile with a wrong key or value. Cure: correct what the message names."""

    concerns: ClassVar[str] = "profile"


class UpdateError(EdgeError, RuntimeError):
    """Nothing may be installed: what was offered is refused, or the slots are not as they should be. Cure: what the
    message names; what served before serves on."""

    exit_code: ClassVar[int] = 1
    concerns: ClassVar[str] = "bundle"


class SlotStateError(UpdateError, ValueError):
    """The file about the slots cannot be read. Cure: the next update or start of the service begins it anew."""


class UpdateSourceError(UpdateError, OSError):
    """What is to be installed cannot be had: no network, a server that fails, too slow or too much. Cure: try later."""

    exit_code: ClassVar[int] = 4


class UpdateBusy(UpdateError, BlockingIOError):  # noqa: N818  (the state of a machine, not a mistake)
    """Another update is under way. Cure: let it end."""

    exit_code: ClassVar[int] = 4


class StoreError(EdgeError, RuntimeError):
    """A record that cannot be opened or does not verify. Cure: what the message names; nothing is repaired silently."""

    exit_code: ClassVar[int] = 1
    concerns: ClassVar[str] = "record"


class StoreBusy(StoreError, BlockingIOError):  # noqa: N818
    """Another process writes to the record. Cure: end it, or name another folder."""

    exit_code: ClassVar[int] = 4


class StoreFull(StoreError, OSError):  # noqa: N818
    """The record cannot be written now: disk full, read-only or failing, no file handles, no memory. What is stored is
    safe. Cure: what the message names."""

    exit_code: ClassVar[int] = 4


class ProtocolError(EdgeError, ValueError):
    """What came over the instrument's socket is no message of its protocol. Cause: a program of another version, or
    none of ours. Cure: the same release on both sides."""

    exit_code: ClassVar[int] = 4
    concerns: ClassVar[str] = "software"


class InstrumentBusy(EdgeError, BlockingIOError):  # noqa: N818  (the state of a machine, not a mistake)
    """Another instrument serves on this socket. Cure: end it, or name another path."""

    exit_code: ClassVar[int] = 4
    concerns: ClassVar[str] = "system"


class SocketUnavailable(EdgeError, OSError):  # noqa: N818  (the state of a machine, not a mistake)
    """The instrument's socket cannot be made or handed to its group. Cure: what the message names."""

    exit_code: ClassVar[int] = 4
    concerns: ClassVar[str] = "system"


class InstrumentUnavailable(EdgeError, ConnectionError):  # noqa: N818  (the state of a machine, not a mistake)
    """No instrument answers on the socket, or not in time. Cause: it is not running, was just ended, or hangs. Cure:
    start it; a command may have been done all the same, so give it again with its id."""

    exit_code: ClassVar[int] = 4
    concerns: ClassVar[str] = "system"


class PageUnavailable(EdgeError, ImportError):  # noqa: N818  (the state of a machine, not a mistake)
    """What pages are written with is not installed. Cure: install the extra the message names."""

    exit_code: ClassVar[int] = 4
    concerns: ClassVar[str] = "software"


class AddressUnavailable(EdgeError, OSError):  # noqa: N818  (the state of a machine, not a mistake)
    """The page cannot be served at its address: another program listens there, or this machine has no such address.
    Cure: end that program, or name another port."""

    exit_code: ClassVar[int] = 4
    concerns: ClassVar[str] = "system"


class PageFolderError(EdgeError, RuntimeError):
    """The page's folder, or its users, cannot be read or written. Cure: what the message names: the owner of the
    folder, or a copy of it; without one, move it away and make users anew."""

    exit_code: ClassVar[int] = 4
    concerns: ClassVar[str] = "system"


class NobodyCanLogIn(EdgeError, RuntimeError):  # noqa: N818  (the state of a machine, not a mistake)
    """The page would be reached by others, and has no account. Cure: `edge page --first-secret`; a unit that is started
    again by itself then serves."""

    exit_code: ClassVar[int] = 4
    concerns: ClassVar[str] = "system"


class CertificateError(EdgeError, ValueError):
    """The certificate or key of the page cannot be used: not PEM, not a pair, expired. Cure: correct [page] of the
    profile, or leave both out for a generated one."""

    concerns: ClassVar[str] = "profile"


class CertificateEnded(CertificateError):  # noqa: N818  (the state of a machine, not a mistake)
    """The certificate of the site has ended, by this machine's clock. Cure: renew it, or set the clock; a unit that is
    started again by itself then serves."""

    exit_code: ClassVar[int] = 4
    concerns: ClassVar[str] = "system"


class TemplateValueError(EdgeError, LookupError):
    """A page's template names a value that it was not given. Cause: a fault of the program, or a record with a hole."""


class UsageError(LeukoscopeError, ValueError):
    """The words of a command make no request. Cure: see `COMMAND --help`."""


DONE, ANSWER_IS_NO, WRONG_REQUEST, NOT_ENOUGH_EVIDENCE, MACHINE_LACKS = 0, 1, 2, 3, 4
