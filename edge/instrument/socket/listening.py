"""The listening end of the instrument's socket: one living instrument a path, and who may connect to it."""

import fcntl
import grp
import logging
import os
import socket
import stat
import struct
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from edge.errors import InstrumentBusy, SocketUnavailable, UsageError

_log = logging.getLogger(__name__)

LONGEST_PATH = 107  # bytes: sun_path of unix(7), without its NUL
BACKLOG = 64
_SO_PEERGROUPS = 59  # of x86 and Arm (asm-generic/socket.h); Python has no name for it
_MOST_GROUPS = 65536  # NGROUPS_MAX
_FIRST_PASSED = 3  # SD_LISTEN_FDS_START


@dataclass(frozen=True)
class Peer:
    """Who is at the other end of a connection, as the kernel says: `gids` are all of the user's groups.

    >>> Peer(0, 1000, frozenset({1000})).uid
    1000
    """

    pid: int
    uid: int
    gids: frozenset[int]


class Listener:
    """A Unix stream socket that listens at `path`, non-blocking.

    A socket that a dead instrument left is replaced. A lock beside it (`PATH.lock`), held as long as this one lives,
    keeps two instruments apart. A socket of this path that systemd passed (`LISTEN_FDS`) is taken as it is.

    Args:
        path: in a folder that is there. group: may connect as well as root and this user, who are alone without one.

    Raises:
        UsageError: the path is too long, or something else than a socket is there.
        InstrumentBusy: another instrument serves there.
        SocketUnavailable: it cannot be made there or given to the group.

    Attributes:
        allowed: gids of the group; empty without one.
    """

    def __init__(self, path: Path, group: str = "") -> None:
        self.path = path
        if len(os.fsencode(path)) > LONGEST_PATH:
            raise UsageError(f"socket must be a path of at most {LONGEST_PATH} bytes; got {path}")
        self._lock = -1
        self._inode: tuple[int, int] | None = None
        passed = _passed(path)
        gid = _gid(group) if group else None
        self.socket = passed if passed is not None else self._bind(gid)
        if passed is not None and gid is None:
            status = path.stat()
            gid = status.st_gid if status.st_mode & stat.S_IWGRP else None
        self.allowed: Collection[int] = () if gid is None else (gid,)
        self.socket.setblocking(False)

    def admits(self, peer: Peer) -> bool:
        """Root, this user, and who is in the socket's group."""
        return peer.uid in (0, os.geteuid()) or not peer.gids.isdisjoint(self.allowed)

    def close(self) -> None:
        """Stop listening; take the socket away where it is this one's own. More than once is fine."""
        self.socket.close()
        if self._inode is not None:
            with suppress(OSError):
                if _inode(self.path) == self._inode:
                    self.path.unlink()
            self._inode = None
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def _bind(self, gid: int | None) -> socket.socket:
        made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._lock = _locked(self.path)
            _remove_stale(self.path)
            os.fchmod(made.fileno(), 0o600)  # Linux: the socket is made with it, so that nobody slips in before chmod
            made.bind(str(self.path))
            self._inode = _inode(self.path)
            if gid is not None:
                os.chown(self.path, -1, gid)
            self.path.chmod(0o600 if gid is None else 0o660)
            made.listen(BACKLOG)
        except PermissionError as error:
            made.close()
            self._undo()
            cure = "" if gid is None else f"; the user of the instrument must be in group {gid}"
            raise SocketUnavailable(f"{self.path}: {error.strerror}{cure}") from error
        except (UsageError, InstrumentBusy):
            made.close()
            self._undo()
            raise
        except OSError as error:
            made.close()
            self._undo()
            raise SocketUnavailable(f"{self.path}: {error.strerror or error}") from error
        return made

    def _undo(self) -> None:
        if self._inode is not None:
            with suppress(OSError):
                self.path.unlink()
        if self._lock >= 0:
            os.close(self._lock)
        self._lock, self._inode = -1, None


def peer_of(connection: socket.socket) -> Peer:
    """Who connected (SO_PEERCRED, SO_PEERGROUPS).

    Raises:
        OSError: the kernel does not say.
    """
    size = struct.calcsize("3i")
    pid, uid, gid = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size))
    groups: tuple[int, ...] = ()
    with suppress(OSError):  # before Linux 4.13
        data = connection.getsockopt(socket.SOL_SOCKET, _SO_PEERGROUPS, 1024)
        groups = struct.unpack(f"{len(data) // 4}I", data)
    return Peer(pid, uid, frozenset((gid, *groups)))


def _gid(group: str) -> int:
    if group.isascii() and group.isdigit():
        return int(group)
    try:
        return grp.getgrnam(group).gr_gid
    except KeyError as error:
        raise SocketUnavailable(f"no group is called {group}: make it, or name another") from error


def _passed(path: Path) -> socket.socket | None:
    """The socket of this path that systemd passed (sd_listen_fds(3)); None where it passed none of it."""
    if os.environ.get("LISTEN_PID") != str(os.getpid()):
        return None
    count = os.environ.get("LISTEN_FDS", "")
    for number in range(_FIRST_PASSED, _FIRST_PASSED + (int(count) if count.isdigit() else 0)):
        with suppress(OSError):
            passed = socket.socket(fileno=number)
            if (passed.family, passed.getsockname()) == (socket.AF_UNIX, str(path)) and passed.getsockopt(
                socket.SOL_SOCKET, socket.SO_ACCEPTCONN
            ):
                passed.set_inheritable(False)
                return passed
            passed.detach()  # somebody else's
    return None


def _locked(path: Path) -> int:
    """A descriptor that holds the path's lock."""
    lock = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(lock)
        raise InstrumentBusy(f"another instrument serves on {path}: end it, or name another path") from error
    except OSError:
        os.close(lock)
        raise
    return lock


def _remove_stale(path: Path) -> None:
    """Take away a socket on which nobody listens."""
    try:
        status = path.lstat()
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(status.st_mode):
        raise UsageError(f"socket must be a path where nothing else is; got {path}, which is no socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(str(path))
        except (ConnectionRefusedError, FileNotFoundError):
            _log.info(f"{path}: replaced the socket of an instrument that was killed")
            path.unlink(missing_ok=True)
            return
        except BlockingIOError:
            pass  # it listens, and is busy
    raise InstrumentBusy(f"another program listens on {path}: end it, or name another path")


def _inode(path: Path) -> tuple[int, int]:
    status = path.lstat()
    return status.st_dev, status.st_ino
