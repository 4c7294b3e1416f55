"""What the system's errors say, and the exit codes they become."""

import errno
import os
from pathlib import Path

import pytest

from edge.commands.command_line import main
from edge.errors import BundleError, KeyFileError, SettingsError, TrustError
from edge.system.durable import sync, write_new
from edge.system.files import read_at_most
from edge.system.media import os_errors
from edge.system.media.os_errors import cure, exit_code, naming, path_of, said

REQUESTS = ("ENOENT", "ENOTDIR", "EISDIR", "EEXIST", "ENOTEMPTY", "EACCES", "EPERM", "ENAMETOOLONG", "ELOOP", "EXDEV")
MACHINES = ("EIO", "ENOMEM", "EINVAL", "ENOSPC", "EDQUOT", "EROFS", "EMFILE", "ENFILE", "ENODEV", "ENXIO", "ENOTCONN")
MORE = ("ESTALE", "ETIMEDOUT", "EFBIG", "EBUSY", "EOPNOTSUPP", "ENOSYS", "ECONNRESET", "EAGAIN")


def error_of(number: int, path: str | None = None) -> OSError:
    return OSError(number, os.strerror(number), path) if path else OSError(number, os.strerror(number))


@pytest.mark.parametrize("name", REQUESTS)
def test_a_name_that_is_wrong_is_the_requests_fault(name: str) -> None:
    assert exit_code(error_of(getattr(errno, name))) == 2


@pytest.mark.parametrize("name", MACHINES + MORE)
def test_everything_else_is_the_machines_and_may_pass(name: str) -> None:
    assert exit_code(error_of(getattr(errno, name))) == 4


def test_an_error_without_a_number_is_the_requests() -> None:
    """Libraries raise them for files that are not what they should be."""
    assert exit_code(OSError("No file or directory found")) == 2
    assert said(OSError("No file or directory found")) == "No file or directory found"


def read(path: Path) -> bytes:
    with path.open("rb") as stream:
        raise error_of(errno.EIO) if stream.readable() else AssertionError


def test_the_path_is_that_of_the_file_at_hand(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"")
    with pytest.raises(OSError) as caught:
        read(tmp_path / "a")
    assert said(caught.value) == f"{tmp_path / 'a'}: Input/output error"


def copy(path: Path, other: Path) -> None:
    raise error_of(errno.EIO, None if path != other else str(path))


def test_between_two_paths_none_is_named() -> None:
    with pytest.raises(OSError) as caught:
        copy(Path("a"), Path("b"))
    assert path_of(caught.value) == "" and said(caught.value) == "Input/output error"


def test_a_block_names_its_path_and_leaves_one_that_is_named() -> None:
    with pytest.raises(OSError) as caught, naming("outer"), naming("inner"):
        raise error_of(errno.EIO)
    assert caught.value.filename == "inner" and isinstance(caught.value, OSError)
    with pytest.raises(OSError) as listed, naming("folder"):
        os.listdir(os.open("/dev/null", os.O_RDONLY))  # noqa: PTH208  (its error names the descriptor)
    assert listed.value.filename == "folder"


class _Failing:
    json = False

    def __init__(self, error: BaseException) -> None:
        self._error = error

    def execute(self):
        raise self._error


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (error_of(errno.EIO, "/media/usb/S-1"), 4, "error: /media/usb/S-1: Input/output error"),
        (error_of(errno.EINVAL, "/media/usb"), 4, "error: /media/usb: Invalid argument"),
        (error_of(errno.ENOMEM), 4, "error: Cannot allocate memory"),
        (MemoryError(), 4, "error: not enough memory; close other programs, or ask for less"),
        (error_of(errno.ENOENT, "none"), 2, "error: none: No such file or directory"),
    ],
)
def test_a_command_ends_with_path_and_code(error, code, text, capsys: pytest.CaptureFixture[str]) -> None:
    def fails() -> _Failing:
        """Fail."""
        return _Failing(error)

    assert main("edge", {"fail": fails}, ["fail"]) == code
    assert capsys.readouterr().err == f"{text}\n"


@pytest.mark.parametrize(("name", "code"), [("EIO", 4), ("ENOMEM", 4), ("EMFILE", 4), ("ENOENT", 2), ("EACCES", 2)])
@pytest.mark.parametrize("kind", [BundleError, SettingsError, KeyFileError, TrustError])
def test_an_error_of_ours_keeps_the_code_of_its_cause(kind, name, code, monkeypatch, tmp_path, capsys) -> None:
    """A bundle on a failing card is no wrong request: the service is started again."""

    def fails() -> _Failing:
        """Fail."""
        (tmp_path / "file").touch()
        monkeypatch.setattr(Path, "read_bytes", lambda self: (_ for _ in ()).throw(error_of(getattr(errno, name))))
        try:
            read_at_most(tmp_path / "file", 1 << 20, kind)
        except kind as error:
            return _Failing(error)
        raise AssertionError

    assert main("edge", {"fail": fails}, ["fail"]) == code
    assert capsys.readouterr().err == f"error: {tmp_path / 'file'}: {os.strerror(getattr(errno, name))}\n"


def test_a_file_that_cannot_be_synced_is_no_success(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder may be (tests/faults); a file whose bytes are not on the disk is none that was written."""

    def refuse(descriptor: int) -> None:
        raise error_of(errno.EINVAL)

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(OSError, match="Invalid argument") as caught:
        write_new(tmp_path / "a", b"...")
    assert caught.value.filename == str(tmp_path / "a") and not (tmp_path / "a").exists()
    folder = os.open(tmp_path, os.O_RDONLY)
    sync(folder)  # by syncfs(2)
    os.close(folder)


def test_cures_name_what_helps() -> None:
    assert cure(errno.ENOSPC) == "make room" and cure(errno.EROFS) == "give access"
    assert "dmesg" in cure(errno.EIO) and cure(errno.EBADMSG) == "" and cure(None) == ""
    assert all(os_errors.cure(number) for number in os_errors.CANNOT_SYNC)
