"""What every command does at a terminal: its version, completion, help without docstrings, names of any locale."""

import json
import shutil
import subprocess
from importlib import metadata
from pathlib import Path

import pytest

from edge.commands.terminal import version
from tests.commands import shell
from tests.paths import ROOT

RELEASE = metadata.version("leukoscope")


@pytest.mark.parametrize("name", ["edge", "convert", "models", "leukoscope"])
def test_every_command_says_its_version(name: str) -> None:
    said = shell(name, "--version")
    assert said.returncode == 0 and said.stdout.startswith(f"{name} {RELEASE}") and said.stdout.count("\n") == 1
    record = json.loads(shell(name, "--version", "--json").stdout)
    assert record["command"] == name and record["version"] == RELEASE
    assert record["interpreter"] == f"litert {metadata.version('ai-edge-litert')}"
    pinned = json.loads((ROOT / "edge" / "bundle" / "shipped_manifests.json").read_text())
    assert record["bundles"] == pinned and set(pinned) == {"custom_cnn-int8", "mobilenet_v2-int8"}


def git(folder: Path, *words: str) -> str:
    author = ["-c", "user.name=a", "-c", "user.email=a@b"]
    done = subprocess.run(["git", "-C", folder, *author, *words], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_the_commit_is_known_in_a_checkout_and_changes_are_said(tmp_path: Path) -> None:
    if shutil.which("git") is None:
        pytest.skip("git is not installed")
    git(tmp_path, "init", "-q")
    (tmp_path / "file").write_text("one")
    git(tmp_path, "add", "file")
    git(tmp_path, "commit", "-q", "-m", "one")
    head = git(tmp_path, "rev-parse", "--short=12", "HEAD")
    assert version.commit(tmp_path) == head
    (tmp_path / "file").write_text("two")
    assert version.commit(tmp_path) == f"{head}+changes"
    record = {"command": "edge", "version": "1", "commit": head}
    assert version.version_text(record) == f"edge 1 (commit {head})"


def test_an_installation_from_a_repository_knows_its_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Installed:
        def read_text(self, name: str) -> str | None:
            return json.dumps({"url": "x", "vcs_info": {"vcs": "git", "commit_id": "0123456789abcdef"}})

    class Wheel:
        def read_text(self, name: str) -> str | None:
            return None

    monkeypatch.setattr(version.metadata, "distribution", lambda name: Installed())
    assert version.commit(tmp_path) == "0123456789ab"
    monkeypatch.setattr(version.metadata, "distribution", lambda name: Wheel())
    assert version.commit(tmp_path) is None
    assert version.version_text({"command": "edge", "version": "1", "commit": None}) == "edge 1"


def test_what_version_and_completion_do_not_take_is_refused() -> None:
    for words, said in (
        (("--version", "now"), "takes --json and nothing else; got now"),
        (("--completion", "tcsh"), "one of: bash, zsh, fish; got 'tcsh'"),
    ):
        done = shell("edge", *words)
        assert done.returncode == 2 and said in done.stderr and done.stdout == ""


def completed(script: Path, *words: str) -> list[str]:
    """What bash offers for the last of the words."""
    quoted = " ".join(f"'{word}'" for word in words)
    code = f"source {script}; COMP_WORDS=({quoted}); COMP_CWORD={len(words) - 1}; _edge_complete; "
    done = subprocess.run(
        ["bash", "-c", code + 'printf "%s\\n" "${COMPREPLY[@]}"'], capture_output=True, text=True, check=True, cwd=ROOT
    )
    return done.stdout.split()


def test_bash_completes_commands_options_and_files(tmp_path: Path) -> None:
    script = tmp_path / "edge.bash"
    script.write_text(shell("edge", "--completion", "bash").stdout)
    assert completed(script, "edge", "up") == ["update"]
    assert completed(script, "edge", "update", "--allow") == ["--allow-older", "--allow-unsigned"]
    assert completed(script, "edge", "verify", "--allow") == [], "options are the command's own"
    assert completed(script, "edge", "classify", "READ") == ["README.md"]


def test_zsh_and_fish_have_scripts_of_their_own() -> None:
    assert shell("convert", "--completion=zsh").stdout.startswith("autoload -U +X compinit bashcompinit")
    fish = shell("convert", "--completion", "fish").stdout
    assert "complete -c convert -n '__fish_seen_subcommand_from sign' -l passphrase-file" in fish


def test_help_does_not_need_docstrings() -> None:
    """Python drops them with PYTHONOPTIMIZE=2."""
    for words in (("--help",), ("update", "--help")):
        plain = shell("edge", *words)
        assert plain.returncode == 0 and "bundle" in plain.stdout
        assert shell("edge", *words, env={"PYTHONOPTIMIZE": "2"}).stdout == plain.stdout


def test_a_name_that_the_locale_cannot_spell_is_escaped(tmp_path: Path) -> None:
    """With standard output in ASCII it ended as a defect, exit code 70."""
    folder = tmp_path / "Prüfung"
    folder.mkdir()
    for more, spelled in (({}, r"Pr\xfcfung"), ({"LC_ALL": "C", "PYTHONUTF8": "0"}, r"Pr\xc3\xbcfung")):
        done = shell("edge", "slots", "--slots", folder, env={"PYTHONIOENCODING": "ascii", **more})
        assert done.returncode == 0 and f"{spelled}: nothing was installed" in done.stdout, done.stderr
