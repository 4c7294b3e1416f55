"""Archives of paper for apt: empty packages in a folder, signed by a key made for it."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

CONTROL = "Package: {}\nVersion: {}\nArchitecture: all\nMaintainer: nobody <nobody@localhost>\nDescription: of paper\n"


@dataclass(frozen=True)
class PaperArchive:
    """A folder that apt reads as an archive, and the key that signs it."""

    folder: Path
    key: Path

    def deb822(self, suite: str, signed_by: str) -> str:
        """The stanza that a device's list has for it."""
        return f"Types: deb\nURIs: file:{self.folder}\nSuites: {suite}\nComponents: main\nSigned-By: {signed_by}\n"

    def line(self, suite: str, options: str = "") -> str:
        """The same in one line."""
        return f"deb {options} file:{self.folder} {suite} main\n"


def paper_archive(folder: Path, suite: str, packages: Sequence[str], *, version: str = "1") -> PaperArchive:
    """Make it: every package is empty and needs nothing.

    Args:
        folder: new.
        suite: such as "trixie".
        packages: names.
        version: of all of them.
    """
    pool, lists = folder / "pool", folder / "dists" / suite
    (lists / "main/binary-amd64").mkdir(parents=True)
    pool.mkdir()
    entries = []
    for name in packages:
        tree = folder / "tree" / name
        (tree / "DEBIAN").mkdir(parents=True)
        (tree / "DEBIAN/control").write_text(CONTROL.format(name, version))
        _run("dpkg-deb", "-Znone", "--root-owner-group", "--build", tree, pool)
        deb = pool / f"{name}_{version}_all.deb"
        size, digest = deb.stat().st_size, _run("sha256sum", deb).split()[0]
        control = CONTROL.format(name, version)
        entries.append(f"{control}Filename: pool/{deb.name}\nSize: {size}\nSHA256: {digest}\n")
    index = lists / "main/binary-amd64/Packages"
    index.write_text("\n".join(entries))
    line = f"{_run('sha256sum', index).split()[0]} {index.stat().st_size} main/binary-amd64/Packages"
    release = lists / "Release"
    release.write_text(
        f"Origin: paper\nSuite: {suite}\nCodename: {suite}\nDate: Mon, 01 Jan 2024 00:00:00 UTC\n"
        f"Architectures: amd64 all\nComponents: main\nSHA256:\n {line}\n"
    )
    home = Path(tempfile.mkdtemp(prefix="gnupg"))  # short: the agent's socket lies in it
    gpg = ("gpg", "--homedir", home, "--batch", "--quiet", "--pinentry-mode", "loopback", "--passphrase", "")
    _run(*gpg, "--quick-generate-key", f"{folder.name} <{folder.name}@localhost>", "rsa2048", "sign", "never")
    key = folder / f"{folder.name}-archive-keyring.pgp"
    key.write_bytes(subprocess.run([*gpg, "--export"], check=True, capture_output=True).stdout)
    _run(*gpg, "--clearsign", "--output", lists / "InRelease", release)
    _run("gpgconf", "--homedir", home, "--kill", "gpg-agent")
    shutil.rmtree(home, ignore_errors=True)  # the agent may take its sockets away meanwhile
    return PaperArchive(folder, key)


def _run(*words: object) -> str:
    environment = os.environ | {"SOURCE_DATE_EPOCH": "1704067200"}
    command = [str(word) for word in words]
    return subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout
