"""The device's profile: `/etc/leukoscope/edge.toml`, checked in full before anything opens.

```toml
[model]
bundle = "/srv/mobilenet_v2-int8"       # left out: the slot that serves, else the one that ships
runtime = "litert"                      # litert, tflite_runtime or tf_lite; left out: the first installed
threads = 1
edgetpu = "usb:0"                       # usb, pci, usb:N or pci:N; left out: the CPU
fallback = false                        # true: the CPU when that Edge TPU cannot be used, which the record says

[trust]
keys = "/etc/leukoscope/trusted"        # folder of the public keys whose bundles run here

[update]
source = "https://example.org/bundles"  # what `edge update` reads when none is named; left out: none
name = "mobilenet_v2-int8"              # of the bundles wanted; left out: as the one that serves
device = "lab-3"                        # its place in a rollout; left out: by the machine's id
root = "/etc/leukoscope/tuf/root.json"  # root metadata that a TUF repository is trusted by

[camera]
uri = "picamera2:0"
size = [1280, 960]
exposure_us = 8000                      # with gain; both left out: automatic
gain = 1.5
colour_gains = [1.9, 1.6]               # red, blue; left out: automatic white balance
region = [0, 0, 2028, 1520]             # of the sensor: x, y, width, height
timeout_s = 2.0

[gates]
off = []                                # names of gates not to be asked; every record says so

[record]
folder = "/var/lib/leukoscope/record"
keep = "second"                         # images: every, second (one a second at most) or none
commit_count = 32                       # verdicts stored together at the latest when so many wait ...
commit_ms = 250                         # ... or after this long

[selftest]
every_hours = 24                        # inside a run; it cannot be turned off

[retention]
days = 365                              # left out: no limit
gigabytes = 20
only_exported = true
```
"""

import difflib
import math
import tomllib
from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, cast

from edge.bundle.trusted import DEFAULT_PROFILE
from edge.cameras.base import CameraSettings
from edge.errors import CameraSettingsError, SettingsError
from edge.inference.runtimes import MOST_THREADS, RUNTIMES
from edge.record.image_sampling import KEEP, Keep
from edge.record.location import default_store
from edge.record.retention import Retention
from edge.settings.model import ModelSettings
from edge.system.files import read_at_most

DEFAULT_CAMERA = "sim:?fps=30"
LARGEST_PROFILE_BYTES = 2**20


@dataclass(frozen=True)
class TrustSettings:
    """[trust]. `keys` None is `edge.bundle.trusted.DEFAULT_KEYS`."""

    keys: Path | None = None


@dataclass(frozen=True)
class UpdateSettings:
    """[update]. `root` None is `edge.update.repository.DEFAULT_ROOT`; "" for what is left out."""

    source: str = ""
    name: str = ""
    device: str = ""
    root: Path | None = None


@dataclass(frozen=True)
class RecordSettings:
    """[record]. `folder` None is `edge.record.location.default_store()`; `keep` None goes by the camera: none for
    a replay (the images are there already), every one for `--every`, one a second otherwise."""

    folder: Path | None = None
    keep: Keep | None = None
    commit_count: int = 32
    commit_ms: int = 250


@dataclass(frozen=True)
class SelfTestSettings:
    """[selftest]. How often a run tests itself, hours; 0.001 to 720, and never not at all."""

    every_hours: float = 24.0


@dataclass(frozen=True)
class Settings:
    """A whole profile; what it leaves out has the default that is written here.

    >>> parse({"record": {"commit_ms": 100}}).with_options(threads="2").model.threads
    2
    """

    model: ModelSettings = field(default_factory=ModelSettings)
    trust: TrustSettings = field(default_factory=TrustSettings)
    update: UpdateSettings = field(default_factory=UpdateSettings)
    camera_uri: str = DEFAULT_CAMERA
    camera: CameraSettings = field(default_factory=CameraSettings)
    timeout_s: float = 2.0
    gates_off: tuple[str, ...] = ()
    record: RecordSettings = field(default_factory=RecordSettings)
    retention: Retention = field(default_factory=Retention)
    selftest: SelfTestSettings = field(default_factory=SelfTestSettings)

    @property
    def store(self) -> Path:
        """Folder of the record."""
        return self.record.folder or default_store()

    def with_options(
        self,
        *,
        bundle: str = "",
        runtime: str = "",
        threads: str = "",
        edgetpu: str = "",
        store: str = "",
        trusted: str = "",
    ) -> "Settings":
        """These settings under the options that commands share; "" is an option that is left out.

        Raises:
            UsageError, SettingsError: as `ModelSettings.with_options`.
        """
        return replace(
            self,
            model=self.model.with_options(bundle=bundle, runtime=runtime, threads=threads, edgetpu=edgetpu),
            record=replace(self.record, folder=Path(store)) if store else self.record,
            trust=replace(self.trust, keys=Path(trusted)) if trusted else self.trust,
        )

    def as_record(self) -> dict[str, Any]:
        """JSON-serializable, for the record of a run."""
        return cast(dict[str, Any], _plain(asdict(self)))


def load(path: Path | None = None) -> Settings:
    """The settings of a profile.

    Args:
        path: a TOML file; None is `DEFAULT_PROFILE` where it exists and the defaults where not.

    Raises:
        SettingsError: naming file, section and key: unreadable, not TOML, an unknown key (with the nearest right
            one), a wrong type, a value out of range, an impossible combination.
    """
    if path is None:
        if not DEFAULT_PROFILE.exists():
            return Settings()
        path = DEFAULT_PROFILE
    data = read_at_most(path, LARGEST_PROFILE_BYTES, SettingsError)
    try:
        table = tomllib.loads(data.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: not a TOML file: {error}") from error
    try:
        return parse(table)
    except SettingsError as error:
        raise SettingsError(f"{path}: {error}") from error


def parse(table: Mapping[str, Any]) -> Settings:
    """The settings of a profile's table; SettingsError as in `load`, without the file's name."""
    _known("section", table, _SECTIONS, "[{}]")
    values: dict[str, dict[str, Any]] = {}
    for section, checks in _SECTIONS.items():
        body = table.get(section, {})
        if not isinstance(body, dict):
            raise SettingsError(f"[{section}] must be a section; got {body!r}")
        _known(f"key of [{section}]", body, checks, "{}")
        values[section] = {key: checks[key](f"{section}.{key}", value) for key, value in body.items()}
    camera = values["camera"]
    top = {name: camera.pop(key) for key, name in (("uri", "camera_uri"), ("timeout_s", "timeout_s")) if key in camera}
    try:
        wanted = CameraSettings(**camera)
    except CameraSettingsError as error:
        raise SettingsError(f"[camera] {error}") from error
    return Settings(
        model=ModelSettings(**values["model"]),
        trust=TrustSettings(**values["trust"]),
        update=UpdateSettings(**values["update"]),
        camera=wanted,
        gates_off=values["gates"].get("off", ()),
        record=RecordSettings(**values["record"]),
        retention=Retention(**values["retention"]),
        selftest=SelfTestSettings(**values["selftest"]),
        **top,
    )


def _known(what: str, given: Mapping[str, Any], known: Collection[str], shape: str) -> None:
    for name in given:
        if name not in known:
            near = difflib.get_close_matches(name, sorted(known), n=1)
            hint = f"; did you mean {shape.format(near[0])}?" if near else f"; there are {', '.join(sorted(known))}"
            raise SettingsError(f"no {what} is called {name!r}{hint}")


Check = Callable[[str, Any], Any]


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise SettingsError(f"{name} must be a text in quotes; got {value!r}")
    return value


def _path(name: str, value: Any) -> Path:
    path = Path(_text(name, value))
    if not path.is_absolute():
        raise SettingsError(f"{name} must be a whole path, from / on; got {value!r}")
    return path


def _one_of(*choices: str) -> Check:
    def check(name: str, value: Any) -> str:
        if value not in choices:
            raise SettingsError(f"{name} must be one of {', '.join(choices)}; got {value!r}")
        return str(value)

    return check


def _whole(lowest: int, highest: int) -> Check:
    def check(name: str, value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not lowest <= value <= highest:
            raise SettingsError(f"{name} must be a whole number {lowest}..{highest}; got {value!r}")
        return value

    return check


def _number(lowest: float, highest: float) -> Check:
    def check(name: str, value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
            raise SettingsError(f"{name} must be a number {lowest:g}..{highest:g}; got {value!r}")
        if not lowest <= value <= highest:
            raise SettingsError(f"{name} must be a number {lowest:g}..{highest:g}; got {value!r}")
        return value

    return check


def _flag(name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise SettingsError(f"{name} must be true or false; got {value!r}")
    return value


def _edgetpu(name: str, value: Any) -> str:
    from edge.inference.edgetpu_delegate import device_name

    return device_name(_text(name, value), name)


def _list(name: str, value: Any) -> tuple[Any, ...]:
    if not isinstance(value, list):
        raise SettingsError(f"{name} must be a list in square brackets; got {value!r}")
    return tuple(value)


def _names(name: str, value: Any) -> tuple[str, ...]:
    return tuple(_text(name, each) for each in _list(name, value))


def _as_is(_: str, value: Any) -> Any:
    return value  # CameraSettings checks it


_SECTIONS: dict[str, dict[str, Check]] = {
    "model": {
        "bundle": _path,
        "runtime": _one_of(*RUNTIMES),
        "threads": _whole(1, MOST_THREADS),
        "edgetpu": _edgetpu,
        "fallback": _flag,
    },
    "trust": {"keys": _path},
    "update": {"source": _text, "name": _text, "device": _text, "root": _path},
    "camera": {
        "uri": _text,
        "timeout_s": _number(0.1, 60),
        **{each.name: _as_is for each in fields(CameraSettings)},
        "size": _list,
        "colour_gains": _list,
        "region": _list,
        "fourcc": _text,
        "still": _flag,
    },
    "gates": {"off": _names},
    "record": {
        "folder": _path,
        "keep": _one_of(*KEEP),
        "commit_count": _whole(1, 1024),
        "commit_ms": _whole(1, 60_000),
    },
    "retention": {
        "days": _number(0.001, 36_500),
        "gigabytes": _number(0.001, 100_000),
        "only_exported": _flag,
    },
    "selftest": {"every_hours": _number(0.001, 720)},
}


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    return str(value) if isinstance(value, Path) else value
