"""`edge page` at the terminal: secrets, and what is refused before anything listens."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from edge.cli import COMMANDS
from edge.commands.command_line import main
from tests.edge.page.access.site import Site


@pytest.fixture
def profile(tmp_path: Path) -> Path:
    """A page for the network."""
    path = tmp_path / "edge.toml"
    path.write_text(f'[page]\nhost = "0.0.0.0"\nfolder = "{tmp_path}/page"\n[record]\nfolder = "{tmp_path}/record"\n')
    return path


def page(profile: Path, *words: str) -> int:
    return main("edge", COMMANDS, ["page", "--config", str(profile), *words])


def test_secrets_are_printed_once_and_said_to_be_so(profile: Path, tmp_path: Path, capsys) -> None:
    assert page(profile, "--first-secret") == 0
    said = capsys.readouterr().out.splitlines()
    assert len(said[0].replace("-", "")) == 25 and "once, within 24 hours" in said[1]
    assert said[2].startswith("The certificate's fingerprint") and said[2].count(":") == 32
    assert page(profile, "--first-secret", "--json") == 0
    issued = json.loads(capsys.readouterr().out)
    assert issued["secret"] != said[0] and set(issued) == {"secret", "expires", "fingerprint"}
    site = Site(tmp_path / "page")
    assert (site.access.once.find(said[0]) or site.access.once.find(issued["secret"])) is None, (
        "the test's clock is ahead"
    )
    site.wall = issued["expires"] - 60
    assert site.access.once.find(said[0]) is None and site.access.once.find(issued["secret"]) is not None
    site.user("anna", "administer")
    assert page(profile, "--first-secret") == 2
    assert "--reset-password NAME" in capsys.readouterr().err
    assert page(profile, "--reset-password", "nobody") == 2
    assert "must name a user of the page (anna); got 'nobody'" in capsys.readouterr().err
    assert page(profile, "--reset-password", "anna", "--json") == 0
    assert site.access.users.named("anna").password is None
    assert json.loads(capsys.readouterr().out)["secret"]
    assert [each["what"] for each in site.access.audit.newest(9)] == ["password-reset", "first-secret", "first-secret"]


def test_what_is_refused_before_anything_listens(profile: Path, tmp_path: Path, capsys) -> None:
    wrong = {
        (): "nobody can log in yet: run `edge page --first-secret` first",
        ("--demo",): "edge page --demo is served to this machine alone, and reads no profile",
        ("--demo", "--socket", "/i.sock"): "--demo asks for no login, so it is served on loopback alone; got 0.0.0.0",
        ("--demo", "--first-secret"): "needs no secret",
        ("--first-secret", "--reset-password", "anna"): "takes one of --first-secret, --reset-password and --address",
        ("--host", "lab-3"): "page.host must be an address of this machine, or localhost; got 'lab-3'",
        ("--port", "99999"): "--port must be at most 65535; got 99999",
    }
    for words, said in wrong.items():
        assert page(profile, *words) == (2 if words else 4), words
        assert said in capsys.readouterr().err
    key = tmp_path / "key.pem"
    key.write_text("none")
    more = profile.read_text().replace("[record]", f'certificate = "{key}"\nkey = "{key}"\n[record]')
    profile.write_text(more)
    assert page(profile, "--first-secret") == 2
    assert f"{key}: no certificate in PEM" in capsys.readouterr().err
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / "access.sqlite").write_bytes(b"no database at all, " * 100)
    profile.write_text(f'[page]\nfolder = "{tmp_path}/damaged"\n')
    assert page(profile) == 4
    assert "the page's users cannot be read" in capsys.readouterr().err


@pytest.mark.slow
def test_the_installed_command_says_it_too(profile: Path) -> None:
    command = Path(sys.executable).with_name("edge")
    done = subprocess.run(
        [command, "page", "--config", profile, "--demo", "--socket", "/i.sock"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr == "error: --demo asks for no login, so it is served on loopback alone; got 0.0.0.0\n"


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="giving files away needs root")
def test_root_asks_as_the_page_s_account(tmp_path: Path) -> None:
    """A page that was taken over puts links into its folder, and root comes with --first-secret."""
    with tempfile.TemporaryDirectory() as text:  # whose parents let every account through
        root = Path(text)
        root.chmod(0o755)
        folder, precious = root / "page", root / "precious"
        folder.mkdir(mode=0o700)
        os.chown(folder, 65534, 65534)
        precious.write_text("of root alone\n")
        precious.chmod(0o600)
        profile = root / "edge.toml"
        profile.write_text(f'[page]\nfolder = "{folder}"\n')
        command = [Path(sys.executable).with_name("edge"), "page", "--config", profile, "--first-secret"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0 and len(done.stdout.splitlines()[0]) == 29
        assert {path.stat().st_uid for path in folder.iterdir()} == {65534}
        for name in ("access.sqlite-wal", "audit.jsonl"):
            (folder / name).unlink(missing_ok=True)
            (folder / name).symlink_to(precious)
            done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
            assert done.returncode == 4 and done.stdout == "", name
            (folder / name).unlink()
        assert precious.read_text() == "of root alone\n" and precious.stat().st_uid == 0
