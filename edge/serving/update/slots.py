"""Two slots, and the link that says which one serves.

```
bundles/
  a/NAME/...        one slot, one bundle in it
  b/NAME/...        the other
  current           -> a/NAME, switched by rename
  state.json        the trial, versions seen, bundles rejected (edge.serving.update.state)
  history.jsonl     what happened (edge.serving.update.history)
```
A slot that `current` leads to is never written. Names that begin with a dot are unfinished work, and the next
update removes them.
"""

import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge.bundle.envelope import LARGEST_ENVELOPE_BYTES, Envelope
from edge.bundle.policy import MANIFEST, SIGNATURE
from edge.bundle.statement import BUNDLE_NAME, Statement
from edge.errors import SignatureError, SlotStateError, UpdateBusy, UpdateError
from edge.serving.update.history import History
from edge.serving.update.state import LARGEST_STATE_BYTES, NO_STATE, SLOTS, State
from edge.system.clock import Clock
from edge.system.durable import Durable, own_as_parent
from edge.system.folders import read_named

STATE_FOLDER = Path("/var/lib/leukoscope")
CURRENT, STATE = "current", "state.json"
STAGING, CLEARED = ".staging", ".cleared"
_LARGEST_MANIFEST_BYTES = 64 * 2**10
_UPDATING, _CHANGING = ".updating", ".changing"  # lock files


def default_slots() -> Path:
    """The slots folder: below systemd's state folder, else `/var/lib/leukoscope`; it need not exist."""
    state = os.environ.get("STATE_DIRECTORY", "").split(":")[0]
    return (Path(state) if state else STATE_FOLDER) / "bundles"


def slots_folder(option: str) -> Path:
    """The folder that `--slots` names, absolute since a self-test runs elsewhere; `default_slots` where it is empty."""
    return Path(option).absolute() if option else default_slots()


@dataclass(frozen=True)
class Place:
    """A bundle's place: its slot and its name.

    >>> str(Place("a", "tiny-int8"))
    'a/tiny-int8'
    """

    slot: str
    name: str

    def __str__(self) -> str:
        return f"{self.slot}/{self.name}"


@dataclass(frozen=True)
class Identity:
    """Which bundle stands at a place, as its files say it; nothing of it is verified.

    Attributes:
        digest: sha256 of its manifest. version: None where no signature says one.

    >>> Identity("0" * 64, version=None).version is None
    True
    """

    digest: str
    version: int | None


class Slots:
    """A slots folder.

    Args:
        folder: made when something is first written.
        durable: how it is written.
        clock: dates the history.

    >>> slots = Slots(Path("/srv/nothing"))
    >>> slots.populated, slots.current(), slots.idle(Place("a", "tiny-int8"))
    (False, None, 'b')
    """

    def __init__(self, folder: Path, *, durable: Durable | None = None, clock: Clock | None = None) -> None:
        self.folder, self.durable = folder, durable or Durable()
        self.history = History(folder, self.durable)
        self._clock = clock or Clock()

    # --- reading ----------------------------------------------------------------------------------------------

    @property
    def populated(self) -> bool:
        """Something was installed here: a slot or the link exists, whatever is in it.

        Raises:
            UpdateError: this user may not look; that is not the same as nothing.
        """
        for name in (CURRENT, *SLOTS):
            try:
                os.lstat(self.folder / name)
            except (FileNotFoundError, NotADirectoryError):
                continue
            except OSError as error:
                raise UpdateError(
                    f"{self.folder}: {error.strerror}; run this as the service's user or as root, or name a --bundle"
                ) from error
            return True
        return False

    def current(self) -> Place | None:
        """Where the link leads; None where there is none.

        Raises:
            UpdateError: it leads out of the slots, or is no link.
        """
        link = self.folder / CURRENT
        try:
            target = str(link.readlink())
        except FileNotFoundError:
            return None
        except OSError as error:
            raise UpdateError(f"{link}: must be a link to a slot: {error.strerror}") from error
        slot, _, name = target.partition("/")
        if slot not in SLOTS or not BUNDLE_NAME.fullmatch(name):
            raise UpdateError(f"{link}: must lead to a/NAME or b/NAME; it leads to {target!r}")
        return Place(slot, name)

    def serving(self) -> Path | None:
        """The folder of the bundle that `current` leads to; None where nothing was installed.

        Raises:
            UpdateError: something was installed, and `current` leads to nothing.
        """
        if not self.populated:
            return None
        current = self.current()
        if current is None or not self.path(current).is_dir():
            raise UpdateError(f"{self.folder}: no slot serves; start the service, or `edge update SOURCE`")
        return self.path(current)

    def place(self, slot: str) -> Place | None:
        """What stands in a slot: exactly one folder; None where nothing or anything else does."""
        try:
            names = os.listdir(self.folder / slot)  # noqa: PTH208
        except OSError:
            return None
        return Place(slot, names[0]) if len(names) == 1 and BUNDLE_NAME.fullmatch(names[0]) else None

    def path(self, place: Place) -> Path:
        """The bundle's folder."""
        return self.folder / place.slot / place.name

    def identity(self, place: Place) -> Identity | None:
        """Which bundle stands there; None where its manifest cannot be read."""
        folder = self.path(place)
        try:
            manifest = read_named(folder, MANIFEST, _LARGEST_MANIFEST_BYTES, UpdateError)
        except UpdateError:
            return None
        try:
            signature = read_named(folder, SIGNATURE, LARGEST_ENVELOPE_BYTES, UpdateError)
            payload = Envelope.from_bytes(signature, SIGNATURE).payload
            version = Statement.from_bytes(payload, SIGNATURE).version
        except (UpdateError, SignatureError):
            version = None
        return Identity(hashlib.sha256(manifest).hexdigest(), version)

    def on_trial(self, place: Place, state: State) -> bool:
        """Whether the bundle at `place` is the one on trial."""
        trial, identity = state.trial, self.identity(place)
        return (
            trial is not None and trial.slot == place.slot and identity is not None and identity.digest == trial.digest
        )

    def idle(self, current: Place | None) -> str:
        """The slot to write into: the one that `current` is not in; without one, an empty one, else b."""
        if current is not None:
            return "b" if current.slot == "a" else "a"
        return "b" if os.path.lexists(self.folder / "a") else "a"

    def state(self) -> State:
        """What `state.json` holds; an empty state where there is none.

        Raises:
            SlotStateError: it cannot be read as one.
        """
        path = self.folder / STATE
        try:
            with path.open("rb") as stream:
                data = stream.read(LARGEST_STATE_BYTES + 1)
        except FileNotFoundError:
            return NO_STATE
        except OSError as error:
            raise SlotStateError(f"{path}: {error.strerror}") from error
        try:
            return State.from_json(data)
        except SlotStateError as error:
            raise SlotStateError(f"{path}: {error}") from error

    # --- writing: within `updating` or `changing` ------------------------------------------------------------

    @contextmanager
    def updating(self) -> Iterator[None]:
        """Hold the update lock: one update at a time, however long it takes.

        Raises:
            UpdateBusy: another process holds it.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        with _locked(self.folder / _UPDATING, wait=False):
            yield

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Hold the lock over link and state, for moments: an update's switch, the service's start."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with _locked(self.folder / _CHANGING, wait=True):
            yield

    def save(self, step: str, state: State) -> None:
        """Replace `state.json`."""
        self.durable.replace_file(step, self.folder / STATE, state.to_json())

    def switch(self, step: str, place: Place) -> None:
        """Make `current` lead to `place`."""
        self.durable.point(step, self.folder / CURRENT, str(place))

    def note(self, what: str, **fields: Any) -> None:
        """Append to the history."""
        self.history.add(self._clock.now(), what, fields)

    def renew_damaged_state(self) -> State:
        """The state; one that cannot be read is put aside for a person to see, and begun anew."""
        try:
            return self.state()
        except SlotStateError as error:
            path, aside = self.folder / STATE, self.folder / f"{STATE}.damaged"
            with suppress(OSError):
                path.replace(aside)
            self.save("renew state", NO_STATE)
            self.note("state_renewed", why=f"{error}; kept as {aside.name}, begun anew")
            return NO_STATE


@contextmanager
def _locked(path: Path, *, wait: bool) -> Iterator[None]:
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except PermissionError as error:
        raise PermissionError(error.errno, f"{error.strerror}; use sudo, or the service's user", str(path)) from error
    try:
        own_as_parent(path)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError as error:
            raise UpdateBusy(f"{path.parent}: another update is under way; let it end, then try again") from error
        yield
    finally:
        os.close(descriptor)
