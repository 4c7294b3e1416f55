"""`edge page --demo`: the bench in one command, on this machine alone, with nobody asked to log in.

The slide is drawn, the socket lies in a folder of its own, and both are gone at the end, unless the record was named.
"""

import json
import os
import shutil
import signal
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from edge.diagnostics.profile_machine import machine_of
from edge.errors import InstrumentUnavailable
from edge.page.demo.instrument import PROGRAM, Instrument
from edge.page.device.address import Address, address
from edge.settings.bench import BenchSettings
from edge.settings.page import PageSettings
from edge.settings.profile import RecordSettings, Settings

# Small enough for a laptop's browser and a Pi's processor. The stage rests, moves on along the slide, and is off focus
# for a fifth of the time.
CAMERA = "sim:Pre?fps=15&focus_drift=3&empty=0.05&places=1000"
_PROFILE = """# Of `edge page --demo`; made anew at each start.
[camera]
uri = {camera}
[record]
folder = {folder}
"""
SOCKET, PREFIX = "instrument.sock", "leukoscope-demo-"
_LONGEST_BASE = 107 - len(f"/{PREFIX}12345678/{SOCKET}")  # a socket's path has 107 bytes at most


@dataclass(frozen=True)
class Demo:
    """A demonstration.

    Attributes:
        port: on 127.0.0.1; 0 leaves it to the system. store: folder of the record; None for one that is gone at the
            end. camera: `sim:` with what it takes. bundle: folder of the model; None for the one that ships.
        program: the instrument's; tests name another.

    >>> Demo(camera="sim:").settings(Path("/tmp/d")).page.loopback
    True
    """

    port: int = 8443
    store: Path | None = None
    camera: str = CAMERA
    bundle: Path | None = None
    program: tuple[str, ...] = PROGRAM

    def settings(self, folder: Path) -> Settings:
        """As the profile of a device would say it: nothing of this machine's own profile."""
        record = self.store or folder / "record"
        return replace(
            Settings(camera_uri=self.camera),
            record=RecordSettings(folder=record.absolute()),
            bench=BenchSettings(socket=folder / SOCKET),
            page=PageSettings(port=self.port, folder=folder / "page"),
        )


def run(demo: Demo, tell: Callable[[Address], None]) -> None:
    """Start the instrument and serve the page until SIGINT or SIGTERM; both have ended on return.

    Args:
        tell: called once, when the page answers: where it is.

    Raises:
        AddressUnavailable: somebody else listens at the port. Nothing was started.
        InstrumentUnavailable: the instrument did not start, or ended by itself, with its reason.
        PageUnavailable: a package of the extra `page` is missing.
    """
    from edge.page.serving import listen

    with _private_folder() as folder:
        settings = demo.settings(folder)
        listen(settings.page.host, settings.page.port).close()  # asked before the instrument takes its time to start
        with Instrument(folder / SOCKET, _words(demo, settings, folder), demo.program) as instrument:
            instrument.wait_until_ready()
            with _ended_with(instrument):
                _serve(settings, tell)
            if instrument.ended():
                raise InstrumentUnavailable(instrument.why())


def _words(demo: Demo, settings: Settings, folder: Path) -> list[str]:
    """Of `edge run`. A slide that is drawn asks for no signature: what is judged is marked as simulated in any case."""
    profile = folder / "edge.toml"
    profile.write_text(_PROFILE.format(camera=json.dumps(demo.camera), folder=json.dumps(str(settings.store))))
    bundle = [] if demo.bundle is None else ["--bundle", str(demo.bundle.absolute())]
    return ["--config", str(profile), "--allow-unsigned", *bundle]


def _serve(settings: Settings, tell: Callable[[Address], None]) -> None:
    from edge.page.access.access import Access
    from edge.page.http.config import PageConfig
    from edge.page.serving import serve

    assert settings.bench.socket is not None
    config = PageConfig(
        store=settings.store,
        socket=settings.bench.socket,
        settings=settings.page,
        machine=machine_of(settings),
        demo=True,
    )
    access = Access(settings.page, demo=True)
    serve(config, access, on_serving=lambda port: tell(address(settings.page, port=port)))


@contextmanager
def _ended_with(instrument: Instrument) -> Iterator[None]:
    """Have this process asked to end, as by SIGTERM, when the instrument ends while the page is served."""
    serving = threading.Event()
    serving.set()

    def watch() -> None:
        instrument.wait()
        if serving.is_set():
            os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, daemon=True).start()
    try:
        yield
    finally:
        serving.clear()


@contextmanager
def _private_folder() -> Iterator[Path]:
    """A folder that this user alone may enter, for socket, profile and a record that nobody named."""
    base = tempfile.gettempdir()
    folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=base if len(base) <= _LONGEST_BASE else "/tmp"))  # mode 0700
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
