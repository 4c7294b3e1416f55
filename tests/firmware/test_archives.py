"""What apt is asked for: another apt at work is waited for, and a device's own lists and keys can be collected from."""

import fcntl
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.firmware.paper_archive import PaperArchive, paper_archive
from tests.firmware.paper_roots import SCRIPTS, Told, run

pytestmark = pytest.mark.skipif(
    shutil.which("apt-get") is None or shutil.which("gpg") is None, reason="needs Debian's apt, and gnupg"
)
NEEDED = ("python3", "python3-venv", "ca-certificates", "systemd", "systemd-timesyncd")


@contextmanager
def held(lock: Path) -> Iterator[Callable[[], None]]:
    """Hold a lock as another apt does; yields what lets it go."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as file:
        fcntl.lockf(file, fcntl.LOCK_EX)
        yield lambda: fcntl.lockf(file, fcntl.LOCK_UN)


@pytest.fixture
def private(tmp_path: Path) -> list[str]:
    """Options of an apt of its own, over an archive with one package, whose dpkg does nothing."""
    archive = paper_archive(tmp_path / "one", "trixie", ["hello-paper"])
    (tmp_path / "one.list").write_text(archive.line("trixie", f"[signed-by={archive.key} arch=amd64]"))
    for name in ("dpkg", "lists/partial", "cache/archives/partial"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "dpkg/status").touch()
    options = {
        "Dir::Etc::sourcelist": tmp_path / "one.list",
        "Dir::Etc::sourceparts": "-",
        "Dir::State::lists": tmp_path / "lists",
        "Dir::State::status": tmp_path / "dpkg/status",
        "Dir::Cache": tmp_path / "cache",
        "Dir::Bin::dpkg": "/bin/true",
        "APT::Architecture": "amd64",
        "APT::Architectures::": "amd64",
        "APT::Sandbox::User": "root",
    }
    return [word for name, value in options.items() for word in ("-o", f"{name}={value}")]


def apt(*words: str, how: str = 'patiently "${APT[@]}" "$@"', patience_s: str = "900") -> Told:
    """What install.sh runs, with lib.sh's own words and patience."""
    script = f'set -euo pipefail; . "{SCRIPTS}/lib.sh"; {how}'
    environment = {**os.environ, "LOCK_PATIENCE_S": patience_s}
    command = ["bash", "-c", script, "-", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    return Told(done.returncode, done.stdout, done.stderr)


LOCKS = {
    "dpkg": ("dpkg/lock-frontend", "install"),
    "lists": ("lists/lock", "update"),
    "downloads": ("cache/archives/lock", "install"),
}


@pytest.mark.slow
@pytest.mark.parametrize("which", LOCKS)
def test_another_apt_at_work_is_waited_for(which: str, private: list[str], tmp_path: Path) -> None:
    place, word = LOCKS[which]
    words = [*private, word, *(["hello-paper"] if word == "install" else [])]
    assert apt(*private, "update").code == 0
    with held(tmp_path / place) as let_go:
        start = time.monotonic()
        threading.Timer(2.0, let_go).start()
        told = apt(*words)
    assert (told.code, told.err) == (0, "")
    assert time.monotonic() - start >= 2
    if which != "dpkg":  # for that one apt itself waits
        assert told.out.count("waiting for another apt to end") == 1


def test_without_patience_it_ends_at_once(private: list[str], tmp_path: Path) -> None:
    """Negative control: the same apt, as it is by itself."""
    assert apt(*private, "update").code == 0
    with held(tmp_path / "dpkg/lock-frontend"):
        told = apt(*private, "install", "hello-paper", how='apt-get -qq --yes "$@"')
    assert (told.code, "Could not get lock" in told.err) == (100, True)


@pytest.mark.slow
def test_patience_is_for_locks_alone_and_ends(private: list[str], tmp_path: Path) -> None:
    start = time.monotonic()
    told = apt(*private, "install", "there-is-none")
    assert (told.code, "there-is-none" in told.err) == (100, True)
    assert time.monotonic() - start < 5
    with held(tmp_path / "lists/lock"):
        told = apt(*private, "update", patience_s="5")
    assert (told.code, "Could not get lock" in told.err) == (100, True)


@pytest.fixture
def pip_of_paper(tmp_path: Path) -> Path:
    """A Python that fetches and builds nothing: this is about packages of Debian's."""
    python = tmp_path / "python"
    python.write_text(
        "#!/bin/bash\n"
        'case "$*" in\n'
        '  *lines_for.py*) exec "$REAL" "$@" ;;\n'
        '  *"-m venv "*) mkdir -p "$3/bin" && cp "$0" "$3/bin/python" ;;\n'
        '  *"pip wheel"*) while [ "$1" != --wheel-dir ]; do shift; done; : > "$2/leukoscope-0-py3-none-any.whl" ;;\n'
        "esac\n".replace("$REAL", sys.executable)
    )
    python.chmod(0o755)
    return python


@pytest.fixture(scope="module")
def archives(tmp_path_factory: pytest.TempPathFactory) -> tuple[PaperArchive, PaperArchive]:
    """One that stands for Debian's, one for Raspberry Pi's."""
    folder = tmp_path_factory.mktemp("archives")
    return (
        paper_archive(folder / "debian", "trixie", NEEDED),
        paper_archive(folder / "raspberrypi", "trixie", ["python3-picamera2"], version="0.3.31"),
    )


def collect(to: Path, python: Path, *words: object) -> Told:
    kind = ("--release", "trixie", "--arch", "amd64", "--to", to, "--python", python)
    return run("offline/collect.sh", *kind, *words, env={"TMPDIR": str(to.parent)})


def test_a_device_s_deb822_lists_and_its_key_are_collected_from(
    archives: tuple[PaperArchive, PaperArchive], pip_of_paper: Path, tmp_path: Path
) -> None:
    """As on Raspberry Pi OS trixie: two files, each with the path of a key that this machine has not got."""
    debian, raspberry = archives
    lists = (tmp_path / "debian.sources", tmp_path / "raspi.sources")
    for file, archive in zip(lists, archives, strict=True):
        file.write_text("# as on the card\n" + archive.deb822("trixie", f"/usr/share/keyrings/{archive.key.name}"))
    words = ["--sources", lists[0], "--sources", lists[1], "--keyring", debian.key]
    told = collect(tmp_path / "one", pip_of_paper, *words)  # one of the two keys is missing
    assert (told.code, told.err.count("\n")) == (4, 1)
    assert f"/usr/share/keyrings/{raspberry.key.name}" in told.err and "--keyring" in told.err
    told = collect(tmp_path / "both", pip_of_paper, *words, "--keyring", raspberry.key)
    assert told.code == 0, told.err
    assert {path.name for path in (tmp_path / "both/debs").glob("python3*.deb")} == {
        "python3_1_all.deb",
        "python3-venv_1_all.deb",
        "python3-picamera2_0.3.31_all.deb",
    }


def test_a_key_that_did_not_sign_the_archive_is_not_enough(
    archives: tuple[PaperArchive, PaperArchive], pip_of_paper: Path, tmp_path: Path
) -> None:
    """Negative control: the name is right and the key is another's."""
    debian, raspberry = archives
    named = tmp_path / raspberry.key.name
    shutil.copy(debian.key, named)
    file = tmp_path / "raspi.sources"
    file.write_text(raspberry.deb822("trixie", f"/usr/share/keyrings/{raspberry.key.name}"))
    told = collect(tmp_path / "to", pip_of_paper, "--sources", file, "--keyring", named)
    assert told.code == 1
    assert "NO_PUBKEY" in told.err or "not signed" in told.err


def test_lists_in_lines_are_collected_from_too(
    archives: tuple[PaperArchive, PaperArchive], pip_of_paper: Path, tmp_path: Path
) -> None:
    """As on bookworm: one with its key's path in brackets, one that trusts the keys of /etc/apt/trusted.gpg.d."""
    debian, raspberry = archives
    file = tmp_path / "sources.list"
    file.write_text(
        debian.line("trixie", f"[arch=amd64 signed-by=/usr/share/keyrings/{debian.key.name}]")
        + raspberry.line("trixie")
    )
    keys = ["--keyring", debian.key, "--keyring", raspberry.key]
    told = collect(tmp_path / "to", pip_of_paper, "--sources", file, *keys)
    assert told.code == 0, told.err
    assert len(list((tmp_path / "to/debs").glob("*.deb"))) == len(NEEDED) + 1


def test_what_is_no_list_and_no_key_is_refused(tmp_path: Path, pip_of_paper: Path) -> None:
    (tmp_path / "empty.list").write_text("# deb nothing\n")
    (tmp_path / "key").write_text("-----BEGIN PGP PRIVATE KEY BLOCK-----\n")
    (tmp_path / "good.list").write_text("deb file:/nowhere trixie main\n")
    good = ["--sources", tmp_path / "good.list"]
    for words in (
        ["--sources", tmp_path / "none"],
        ["--sources", tmp_path / "empty.list"],
        [*good, "--keyring", tmp_path / "none"],
        [*good, "--keyring", tmp_path / "key"],
        ["--keyring", os.devnull],
        ["--keyring", tmp_path / "good.list"],
    ):
        told = collect(tmp_path / "to", pip_of_paper, *words)
        assert (told.code, told.out, told.err.count("\n")) == (2, "", 1), (words, told)
    assert not (tmp_path / "to").exists()
