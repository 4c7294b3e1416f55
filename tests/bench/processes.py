"""A bench as a device has it: `edge run` with its socket and `edge page`, each a process of its own, in one folder."""

import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx

from edge.record.store import Store
from tests.bench.asking import Api
from tests.commands import command
from tests.paths import ROOT

BUNDLE = ROOT / "models" / "bundles" / "custom_cnn-int8"  # the smaller one that ships
CAMERA = "sim:Early?motion=0&focus_drift=0&empty=0&fps=20"  # Early is drawn in half the time of the others
SIZE = (320, 240)
USER, PASSWORD = "reader-1", "only drawn fields are shown here"
STARTS_S = 180.0  # that a process may take to start on a busy machine
_LOOK_S = 0.05


def free_port() -> int:
    """A port of loopback that nobody listens on: the page is started on it again and again."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def eventually(true: Callable[[], object], what: str | Callable[[], str], within_s: float = STARTS_S) -> None:
    """Wait until `true()` is; AssertionError with `what` (asked then) where it does not become so in time."""
    deadline = time.monotonic() + within_s
    while not true():
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {within_s:g} s: {what if isinstance(what, str) else what()}")
        time.sleep(_LOOK_S)


@dataclass
class Bench:
    """Two processes and what lies between them. Nothing runs before `start`; leaving the block ends both.

    Attributes:
        folder: of profile, record, socket and logs. camera: URI. size: of frames. more: further lines of the profile.
        record: folder of it; in `folder` where none is named.
        known: `USER` has an account.
    """

    folder: Path
    camera: str = CAMERA
    size: tuple[int, int] = SIZE
    more: str = ""
    record: Path = Path()
    known: bool = False
    port: int = field(default_factory=free_port)
    instrument: subprocess.Popen[bytes] | None = None
    page: subprocess.Popen[bytes] | None = None

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        if self.record == Path():
            self.record = self.folder / "record"
        self.set_camera(self.camera)

    def set_camera(self, uri: str) -> None:
        """Write the profile, with another camera for the next start."""
        self.camera = uri
        width, height = self.size
        self.profile.write_text(
            f'[model]\nbundle = "{BUNDLE}"\n'
            f'[camera]\nuri = "{self.camera}"\nsize = [{width}, {height}]\n'
            f'[record]\nfolder = "{self.record}"\ncommit_ms = 20\n'
            f'[bench]\nsocket = "{self.socket}"\n'
            f'[page]\nport = {self.port}\nfolder = "{self.folder / "page"}"\n{self.more}',
            encoding="utf-8",
        )

    @property
    def profile(self) -> Path:
        return self.folder / "edge.toml"

    @property
    def socket(self) -> Path:
        return self.folder / "instrument.sock"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> Self:
        """Both of them, ready to be asked."""
        self.start_instrument()
        self.start_page()
        self.wait_for_instrument()
        self.wait_for_page()
        return self

    def start_instrument(self) -> None:
        self.instrument = self._start("instrument", "run", "--config", self.profile)

    def start_page(self) -> None:
        self.page = self._start("page", "page", "--config", self.profile)

    def make_record(self) -> None:
        """An empty one, for a page without an instrument."""
        Store.open(self.record).close()

    def secret(self) -> str:
        """The one-time secret that makes the first account, as `edge page --first-secret` prints it."""
        words = [*command("edge"), "page", "--config", str(self.profile), "--first-secret", "--json"]
        done = subprocess.run(words, capture_output=True, text=True, check=True, cwd=ROOT, timeout=STARTS_S)
        return str(json.loads(done.stdout)["secret"])

    def api(self) -> Api:
        """A program that is logged in as `USER`, whose account is made where there is none."""
        asked = Api(self.url, USER, PASSWORD)
        if not self.known:
            asked.make_account(self.secret())
            self.known = True
        asked.login()
        return asked

    def wait_for_instrument(self) -> None:
        eventually(lambda: self._answers("instrument"), lambda: self._last_words("instrument"))

    def wait_for_page(self) -> None:
        eventually(lambda: self._answers("page"), lambda: self._last_words("page"))

    def kill(self, which: str) -> None:
        """SIGKILL: it has no chance to tidy up."""
        self._end(which, signal.SIGKILL)

    def stop(self, which: str) -> int:
        """SIGTERM, as systemd ends it; its exit code."""
        return self._end(which, signal.SIGTERM)

    def log(self, which: str) -> str:
        path = self.folder / f"{which}.log"
        return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""

    def resident_mb(self, which: str) -> float:
        """Memory that a process holds, MB of 2**20 bytes, from /proc."""
        pages = int(Path(f"/proc/{self._running(which).pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 2**20

    def cpu_s(self, which: str) -> float:
        """Processor time that a process has taken, seconds."""
        fields = Path(f"/proc/{self._running(which).pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def stored(self) -> Store:
        """The record, to be read."""
        return Store.open(self.record, read_only=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for which in ("page", "instrument"):
            if getattr(self, which) is not None:
                self.kill(which)

    def _start(self, which: str, *words: object) -> subprocess.Popen[bytes]:
        with (self.folder / f"{which}.log").open("ab") as log:
            return subprocess.Popen(
                [*command("edge"), *map(str, words)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=ROOT,
                env={
                    **os.environ,
                    "XDG_STATE_HOME": str(self.folder / "state"),
                    "PYTHONUNBUFFERED": "1",
                    "PYTHONFAULTHANDLER": "1",
                },
            )

    def _end(self, which: str, how: signal.Signals) -> int:
        process = self._running(which)
        process.send_signal(how)
        code = process.wait(STARTS_S)
        setattr(self, which, None)
        return code

    def _last_words(self, which: str) -> str:
        """Its log, with where each of its threads is."""
        self._end(which, signal.SIGABRT)
        return f"{which} answers\n{self.log(which)[-8000:]}"

    def _running(self, which: str) -> subprocess.Popen[bytes]:
        process: subprocess.Popen[bytes] | None = getattr(self, which)
        assert process is not None, f"{which} is not running"
        return process

    def _answers(self, which: str) -> bool:
        code = self._running(which).poll()
        assert code is None, f"{which} ended with {code}:\n{self.log(which)}"
        if which == "page":
            try:
                return httpx.get(f"{self.url}/login", timeout=5).status_code < 500
            except httpx.TransportError:
                return False
        with socket.socket(socket.AF_UNIX) as probe:
            try:
                probe.connect(str(self.socket))
            except OSError:
                return False
            return True
