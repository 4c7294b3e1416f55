"""The device's profile: `/etc/leukoscope/edge.toml`, checked in full before anything opens.

```toml
[model]
bundle = "/srv/mobilenet_v2-int8"       # left out: the slot that serves, else the one that ships
runtime = "litert"                      # litert, tflite_runtime or tf_lite; left out: the first installed
threads = 1
edgetpu = "usb:0"                       # usb, pci, usb:N or pci:N; left out: the CPU
fallback = false                        # true: the CPU when that Edge TPU cannot be used, which the record says
ungated = false                         # true: judge every frame, whatever the gates of the bundle say

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
white_balance_k = 4600                  # of a USB camera: colour temperature its white balance is locked at
region = [0, 0, 2028, 1520]             # of the sensor: x, y, width, height; left out: all of it
frame_rate = 10                         # frames a second; left out: the camera's choice
fourcc = "YUYV"                         # pixel format of a USB camera; left out: the camera's choice
still = false                           # true: a Pi camera's full mode for every frame, slower
frozen_after_s = 5                      # the same picture for so long: the camera counts as lost; 0 never
timeout_s = 2.0                         # longest wait for a frame; longer exposures are waited for
setup = "/etc/leukoscope/camera/..."    # `edge setup-camera` writes it, and what it locks; left out: none

[gates]
off = []                                # names of gates not to be asked; every record says so

[record]
folder = "/var/lib/leukoscope/record"
keep = "second"                         # images: every, second (one a second at most) or none
commit_count = 32                       # verdicts stored together at the latest when so many wait ...
commit_ms = 250                         # ... or after this long

[selftest]
every_hours = 24                        # inside a run; it cannot be turned off

[site]
name = "lab-3"                          # this laboratory: only bundles that it accepted run here; left out: any
study = false                           # true: also others, and every verdict says that they were not accepted

[control]
demand = "none"                         # daily: no frame is answered without a control that passed (`edge control`)
slides = []                             # the control slides that must have passed; empty: any, and none failed last
valid_hours = 24                        # how long a control holds
baseline = 20                           # controls that targets are made from

[bench]
socket = "/run/leukoscope/instrument.sock"  # commands come here, and slides are opened by them; left out: none
group = "leukoscope-page"               # whose members may use it beside this user and root; left out: nobody else
automatic = true                        # usable new fields are judged by themselves
still_s = 0.4                           # ... once the view has stood still for so long

[slide]
rule = "tenth-1"                        # by which a slide's finding is made, and its version
fields = 20                             # fewer counted fields are never enough
width = 0.3                             # nor is a wider 95 % interval of the share that is not benign

[page]
host = "127.0.0.1"                      # this machine alone; an address, or 0.0.0.0 for all: https and a login
port = 8443
folder = "/var/lib/leukoscope-page"     # users, tokens, generated certificate; left out: the service's own
certificate = "/etc/leukoscope/page.pem"  # of the site, its chain below it; left out: a generated one
key = "/etc/leukoscope/page.key"        # of that certificate, without a password
names = []                              # further names and addresses by which browsers reach the page
idle_minutes = 30                       # a login that nobody uses ends after so long ...
session_hours = 12                      # ... and any after so long

[retention]
days = 365                              # left out: no limit
gigabytes = 20
only_exported = true
```
"""

import difflib
import json
import re
import tomllib
from collections.abc import Collection, Mapping
from dataclasses import Field, asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Annotated, Any, ClassVar, Protocol, TypeVar, get_args, get_type_hints

import msgspec
from msgspec import Meta

from edge.bundle.trusted import DEFAULT_PROFILE
from edge.cameras.base import CameraSettings
from edge.commissioning.control.settings import ControlSettings
from edge.errors import SettingsError
from edge.record.image_sampling import KEEP, Keep
from edge.record.location import default_store
from edge.record.retention import Retention
from edge.settings.bench import BenchSettings
from edge.settings.model import ModelSettings, Text, WholePath
from edge.settings.page import PageSettings
from edge.settings.site import SiteSettings
from edge.slides.settings import SlideSettings
from edge.system.files import read_at_most

DEFAULT_CAMERA = "sim:?fps=30"
LARGEST_PROFILE_BYTES = 2**20


class _Dataclass(Protocol):
    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]


_Section = TypeVar("_Section", bound=_Dataclass)


@dataclass(frozen=True)
class TrustSettings:
    """[trust]. `keys` None is `edge.bundle.trusted.DEFAULT_KEYS`.

    >>> parse({"trust": {"keys": "/srv/keys"}}).trust
    TrustSettings(keys=PosixPath('/srv/keys'))
    """

    keys: WholePath | None = None


@dataclass(frozen=True)
class UpdateSettings:
    """[update]. `root` None is `edge.serving.update.repository.DEFAULT_ROOT`; "" for what is left out.

    >>> parse({"update": {"source": "/media/stick"}}).update.source
    '/media/stick'
    """

    source: Text = ""
    name: Text = ""
    device: Text = ""
    root: WholePath | None = None


@dataclass(frozen=True)
class CameraSource:
    """The part of [camera] that says which camera it is, how long to wait for a frame, seconds, and in which folder its
    set-up lies.

    >>> parse({"camera": {"uri": "uvc:0"}}).camera_uri
    'uvc:0'
    """

    uri: Text = DEFAULT_CAMERA
    timeout_s: Annotated[float, Meta(ge=0.1, le=60, description="a number 0.1..60")] = 2.0
    setup: WholePath | None = None


@dataclass(frozen=True)
class GatesSettings:
    """[gates]. `off`: names of gates that are not asked.

    >>> parse({"gates": {"off": ["motion_blur"]}}).gates_off
    ('motion_blur',)
    """

    off: Annotated[tuple[Text, ...], Meta(description="a list of texts in square brackets")] = ()


@dataclass(frozen=True)
class RecordSettings:
    """[record]. `folder` None is `edge.record.location.default_store()`; `keep` None goes by the camera: none for
    a replay (the images are there already), every one for `--every`, one a second otherwise.

    >>> parse({"record": {"keep": "none"}}).record.keep
    'none'
    """

    folder: WholePath | None = None
    keep: Annotated[Keep, Meta(description=f"one of {', '.join(KEEP)}")] | None = None
    commit_count: Annotated[int, Meta(ge=1, le=1024, description="a whole number 1..1024")] = 32
    commit_ms: Annotated[int, Meta(ge=1, le=60_000, description="a whole number 1..60000")] = 250


@dataclass(frozen=True)
class SelfTestSettings:
    """[selftest]. How often a run tests itself, hours; 0.001 to 720, and never not at all.

    >>> parse({"selftest": {"every_hours": 6}}).selftest
    SelfTestSettings(every_hours=6)
    """

    every_hours: Annotated[float, Meta(ge=0.001, le=720, description="a number 0.001..720")] = 24.0


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
    camera_setup: Path | None = None
    gates_off: tuple[str, ...] = ()
    record: RecordSettings = field(default_factory=RecordSettings)
    retention: Retention = field(default_factory=Retention)
    selftest: SelfTestSettings = field(default_factory=SelfTestSettings)
    site: SiteSettings = field(default_factory=SiteSettings)
    control: ControlSettings = field(default_factory=ControlSettings)
    bench: BenchSettings = field(default_factory=BenchSettings)
    slide: SlideSettings = field(default_factory=SlideSettings)
    page: PageSettings = field(default_factory=PageSettings)

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
        ungated: bool = False,
    ) -> "Settings":
        """These settings under the options that commands share; "" is an option that is left out.

        Raises:
            UsageError, SettingsError: as `ModelSettings.with_options`.
        """
        return replace(
            self,
            model=self.model.with_options(
                bundle=bundle, runtime=runtime, threads=threads, edgetpu=edgetpu, ungated=ungated
            ),
            record=replace(self.record, folder=Path(store)) if store else self.record,
            trust=replace(self.trust, keys=Path(trusted)) if trusted else self.trust,
        )

    def as_record(self) -> dict[str, Any]:
        """JSON-serializable, for the record of a run."""
        record: dict[str, Any] = json.loads(json.dumps(asdict(self), default=str))  # str: of a path
        return record


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
    _require_known("section", table, _SECTIONS, "[{}]")
    for section, kinds in _SECTIONS.items():
        if not isinstance(table.get(section, {}), dict):
            raise SettingsError(f"[{section}] must be a section; got {table[section]!r}")
        known = [each.name for kind in kinds for each in fields(kind)]
        _require_known(f"key of [{section}]", table.get(section, {}), known, "{}")
    model = _read(table, "model", ModelSettings)
    if model.edgetpu is not None:
        from edge.inference.runtime.edgetpu_delegate import device_name

        model = replace(model, edgetpu=device_name(model.edgetpu, "model.edgetpu"))
    source = _read(table, "camera", CameraSource)
    return Settings(
        model=model,
        trust=_read(table, "trust", TrustSettings),
        update=_read(table, "update", UpdateSettings),
        camera_uri=source.uri,
        camera=_read(table, "camera", CameraSettings),
        timeout_s=source.timeout_s,
        camera_setup=source.setup,
        gates_off=_gates_off(table),
        record=_read(table, "record", RecordSettings),
        retention=_read(table, "retention", Retention),
        selftest=_read(table, "selftest", SelfTestSettings),
        site=_read(table, "site", SiteSettings),
        control=_read(table, "control", ControlSettings),
        bench=_read(table, "bench", BenchSettings),
        slide=_read(table, "slide", SlideSettings),
        page=_read(table, "page", PageSettings),
    )


_SECTIONS: dict[str, tuple[type[_Dataclass], ...]] = {
    "model": (ModelSettings,),
    "trust": (TrustSettings,),
    "update": (UpdateSettings,),
    "camera": (CameraSource, CameraSettings),
    "gates": (GatesSettings,),
    "record": (RecordSettings,),
    "retention": (Retention,),
    "selftest": (SelfTestSettings,),
    "site": (SiteSettings,),
    "control": (ControlSettings,),
    "bench": (BenchSettings,),
    "slide": (SlideSettings,),
    "page": (PageSettings,),
}
_TYPES = {  # msgspec's names
    "array": "a list in square brackets",
    "bool": "true or false",
    "float": "a number",
    "int": "a whole number",
    "str": "a text in quotes",
}


def _gates_off(table: Mapping[str, Any]) -> tuple[str, ...]:
    """`[gates] off`, whose names are known whichever bundle will run; SettingsError with the nearest right one."""
    off = _read(table, "gates", GatesSettings).off
    if off:
        from edge.inference.gates.gates_file import require_gates  # imports OpenCV, which most profiles need not

        require_gates(off)
    return off


def _require_known(what: str, given: Mapping[str, Any], known: Collection[str], shape: str) -> None:
    for name in given:
        if name not in known:
            near = difflib.get_close_matches(name, sorted(known), n=1)
            hint = f"; did you mean {shape.format(near[0])}?" if near else f"; there are {', '.join(sorted(known))}"
            raise SettingsError(f"no {what} is called {name!r}{hint}")


def _read(table: Mapping[str, Any], section: str, kind: type[_Section]) -> _Section:
    """What a section says of one kind of settings, each value of the field's type and in its range."""
    body = table.get(section, {})
    try:
        found = msgspec.convert(body, kind, dec_hook=_whole_path)
    except msgspec.ValidationError as error:
        text, _, path = str(error).removesuffix("`").partition(" - at `$.")
        message = f"{section}.{_expectation(text, path, body, kind)}" if path else f"[{section}] {text}"
        raise SettingsError(message) from error
    # A run records its settings: numbers stay as the profile has them, 8 instead of 8.0.
    numbers = {
        each.name: body[each.name] for each in fields(kind) if isinstance(body.get(each.name), (int, float, list))
    }
    return replace(found, **{key: tuple(value) if isinstance(value, list) else value for key, value in numbers.items()})


def _expectation(text: str, path: str, body: Mapping[str, Any], kind: type) -> str:
    """What must be there and what is, from msgspec's "Expected `array` of length 2, got 1" or the field's type."""
    key = path.partition("[")[0]
    if expected := _description(get_type_hints(kind, include_extras=True)[key]):
        path = key
    else:
        expected = text.removeprefix("Expected ").partition(", got")[0]
        expected = re.sub(r"`(\w+).*?`", lambda found: _TYPES[found[1]], expected)
    return f"{path} must be {expected}; got {body[key]!r}"


def _description(hint: Any) -> str:
    """The description in the type of a field, or of what it may hold beside None."""
    for part in (hint, *get_args(hint)):
        for meta in getattr(part, "__metadata__", ()):
            return str(meta.description)
    return ""


def _whole_path(_: type, value: Any) -> Path:
    if not isinstance(value, str) or not value.startswith("/"):
        raise ValueError("not a whole path")
    return Path(value)
