"""install.sh and uninstall.sh on root file systems of paper: written, refused, run twice, undone."""

import hashlib
import os
import pty
import subprocess
from pathlib import Path

import pytest

from edge.settings import profile as settings
from edge.settings.site import SiteSettings
from tests.firmware.paper_roots import FILE_STEPS, FSTAB, ROOT, SCRIPTS, Told, paper_root, run, tree

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="install.sh changes a root file system as root only")
BODY = "MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE="
PUBLIC = f"-----BEGIN PUBLIC KEY-----\n{BODY}\n-----END PUBLIC KEY-----\n"


def install(root: Path, *words: object) -> Told:
    return run("install.sh", "--root", root, "--steps", FILE_STEPS, *words)


@pytest.mark.parametrize("release", ["bookworm", "trixie"])
def test_a_second_run_changes_nothing(release: str, tmp_path: Path) -> None:
    root = paper_root(tmp_path / "root", release)
    first = install(root, "--camera", "picamera2:0", "--update-source", "https://updates.example.org/bundles")
    assert (first.code, first.err) == (0, "")
    assert first.out.index("What will be done") < first.out.index("[1/3] configuration")
    before = tree(root)
    second = install(root, "--camera", "picamera2:0", "--update-source", "https://updates.example.org/bundles")
    assert (second.code, second.err) == (0, "")
    assert second.out.splitlines()[-1] == "nothing changed: all of it was so already"
    assert tree(root) == before
    newer = root / "etc/systemd/system/leukoscope.service.d/back-off.conf"
    assert newer.exists() == (release == "trixie")  # bookworm's systemd 252 knows no steps


def test_the_profile_is_one_that_edge_reads(tmp_path: Path) -> None:
    root = paper_root(tmp_path / "root")
    assert install(root, "--camera", "uvc:/dev/video0", "--update-source", "https://updates.example.org/b").code == 0
    profile = settings.load(root / "etc/leukoscope/edge.toml")
    assert profile.camera_uri == "uvc:/dev/video0"
    assert profile.record.folder == Path("/var/lib/leukoscope/record")
    assert (profile.record.keep, profile.retention.only_exported) == ("second", True)
    assert profile.update.source == "https://updates.example.org/b"


def test_without_a_camera_a_drawn_slide_is_judged_slowly_and_forgotten(tmp_path: Path) -> None:
    root = paper_root(tmp_path / "root")
    assert install(root).code == 0
    profile = settings.load(root / "etc/leukoscope/edge.toml")
    assert profile.camera_uri == "sim:?fps=1"
    assert (profile.record.keep, profile.retention.days, profile.retention.only_exported) == ("none", 7, False)
    assert profile.update.source == ""


@pytest.mark.parametrize(
    ("words", "site"),
    [
        (["--site", "lab-3"], SiteSettings("lab-3")),
        (["--site", "lab-3", "--study", "--camera", "picamera2:0"], SiteSettings("lab-3", study=True)),
        (["--site", "none"], SiteSettings()),
        ([], SiteSettings()),
    ],
)
def test_the_site_is_named_by_a_word(tmp_path: Path, words: list[str], site: SiteSettings) -> None:
    root = paper_root(tmp_path / "root")
    told = install(root, *words)
    assert (told.code, told.err) == (0, "") and "Name of this laboratory" not in told.out
    assert settings.load(root / "etc/leukoscope/edge.toml").site == site
    again = install(root, *words)
    assert again.out.splitlines()[-1] == "nothing changed: all of it was so already"
    other = install(root, "--site", "lab-4")
    assert other.code == 0 and "set the site there, under [site]" in other.out


@pytest.mark.parametrize(
    ("answers", "site"),
    [
        ("lab-3\nn\n", SiteSettings("lab-3")),
        ("lab-3\ny\n", SiteSettings("lab-3", study=True)),
        ("\n", SiteSettings()),
    ],
)
def test_at_a_terminal_the_site_is_asked_for(tmp_path: Path, answers: str, site: SiteSettings) -> None:
    root = paper_root(tmp_path / "root")
    words = [str(SCRIPTS / "install.sh"), "--root", str(root), "--steps", FILE_STEPS]
    ours, theirs = pty.openpty()
    try:
        os.write(ours, answers.encode())
        done = subprocess.run(words, stdin=theirs, capture_output=True, text=True, check=False, timeout=60)
    finally:
        os.close(ours)
        os.close(theirs)
    assert done.returncode == 0 and "Name of this laboratory" in done.stdout
    assert done.stdout.index("Name of this laboratory") < done.stdout.index("What will be done")
    assert settings.load(root / "etc/leukoscope/edge.toml").site == site


def test_a_profile_that_is_there_is_never_touched(tmp_path: Path) -> None:
    root = paper_root(tmp_path / "root")
    (root / "etc/leukoscope").mkdir()
    mine = root / "etc/leukoscope/edge.toml"
    mine.write_text('[camera]\nuri = "picamera2:1"\n')
    told = install(root, "--camera", "picamera2:0", "--update-source", "https://updates.example.org/b")
    assert told.code == 0
    assert mine.read_text() == '[camera]\nuri = "picamera2:1"\n'
    assert told.out.count("is left as it is") == 2


def test_a_rehearsal_does_nothing(tmp_path: Path) -> None:
    root = paper_root(tmp_path / "root")
    before = tree(root)
    told = run("install.sh", "--root", root, "--dry-run", "--first-verdict", "--camera", "picamera2:0")
    assert (told.code, told.err) == (0, "")
    assert tree(root) == before
    for action in (
        "install by apt: python3",
        "make the environment",
        "write /etc/leukoscope/edge.toml",
        "show a stored verdict",
    ):
        assert f"would {action}" in told.out
    assert told.out.splitlines()[-1].startswith("rehearsal: ")


@pytest.mark.parametrize(
    ("release", "architecture", "identity", "python", "said"),
    [
        ("bookworm", "armhf", "raspbian", None, "32-bit"),
        ("bookworm", "armhf", "debian", None, "32-bit"),  # a 64-bit kernel under a 32-bit system
        ("noble", "arm64", "ubuntu", "3.12", "is not supported"),
        ("bullseye", "arm64", "debian", "3.9", "is not supported"),
        ("bookworm", "arm64", "debian", "3.12", "no wheels are locked for it"),
        ("trixie", "amd64", "debian", "3.12", "no wheels are locked for it"),
    ],
)
def test_what_is_not_supported_is_refused_in_one_line(
    tmp_path: Path, release: str, architecture: str, identity: str, python: str | None, said: str
) -> None:
    root = paper_root(tmp_path / "root", release, architecture, identity=identity, python=python)
    before = tree(root)
    told = run("install.sh", "--root", root)
    assert (told.code, told.out) == (4, "")
    assert told.err.count("\n") == 1
    assert said in told.err
    assert tree(root) == before


def test_a_folder_that_is_no_system_is_refused(tmp_path: Path) -> None:
    told = run("install.sh", "--root", tmp_path)
    assert (told.code, told.err.count("\n")) == (4, 1)
    assert run("install.sh", "--root", tmp_path / "none").code == 2


@pytest.mark.parametrize(
    "words",
    [
        ["--camera", "webcam"],
        ["--camera", "picamera2:"],
        ["--camera", "picamera2:front"],
        ["--camera", 'sim:"\nuri'],
        ["--site", "Lab Three"],
        ["--site", "-lab"],
        ["--site", "l" * 65],
        ["--study"],
        ["--update-source", "http://updates.example.org/b"],
        ["--update-source", 'https://example.org/" x'],
        ["--steps", "units,unit"],
        ["--trust", "none.pub"],
        ["--bundle", "none"],
        ["--offline", "none"],
        ["--digest", "00"],
        ["--camera"],
        ["--camera", "--dry-run"],
    ],
)
def test_a_wrong_request_is_refused_before_anything(tmp_path: Path, words: list[str]) -> None:
    root = paper_root(tmp_path / "root")
    before = tree(root)
    told = run("install.sh", "--root", root, *words)
    assert (told.code, told.out) == (2, ""), told.err
    assert told.err.startswith("error: ")
    assert tree(root) == before


def test_trusted_keys(tmp_path: Path) -> None:
    root = paper_root(tmp_path / "root")
    key, other, private = tmp_path / "site.pub", tmp_path / "other" / "site.pub", tmp_path / "site.key"
    other.parent.mkdir()
    key.write_text(PUBLIC)
    other.write_text(PUBLIC.replace("Gb9", "Hb9"))
    private.write_text("-----BEGIN PRIVATE KEY-----\nMC4\n-----END PRIVATE KEY-----\n")
    assert install(root, "--trust", key).code == 0
    there = root / "etc/leukoscope/trusted/site.pub"
    assert (there.read_text(), there.stat().st_mode & 0o777) == (PUBLIC, 0o644)
    told = install(root, "--trust", private)
    assert (told.code, "private key" in told.err) == (2, True)
    told = install(root, "--trust", other)
    assert (told.code, "another key named site.pub" in told.err) == (2, True)
    assert there.read_text() == PUBLIC


def test_it_stops_at_the_first_error_and_names_the_step(tmp_path: Path) -> None:
    root = paper_root(tmp_path / "root")
    (root / "etc/udev").write_text("in the way")
    told = install(root)
    assert told.code == 1
    assert "error: step system: write /etc/udev/rules.d/70-leukoscope-coral.rules failed" in told.err
    assert "[3/3] units" not in told.out
    (root / "etc/udev").unlink()
    assert install(root).code == 0  # the same command goes on from there


def test_access_times_are_turned_off_once_and_back_on(tmp_path: Path) -> None:
    root = paper_root(tmp_path / "root")
    assert install(root).code == 0
    lines = (root / "etc/fstab").read_text().splitlines()
    assert lines[2].split() == ["PARTUUID=1-02", "/", "ext4", "defaults,rw,noatime", "0", "1"]
    assert lines[:2] == FSTAB.splitlines()[:2]  # the firmware's partition and comments are left alone
    assert run("uninstall.sh", "--root", root).code == 0
    assert (root / "etc/fstab").read_text().split() == FSTAB.split()


def test_uninstall_undoes_exactly_what_was_done(tmp_path: Path) -> None:
    root = paper_root(tmp_path / "root")
    journald = root / "etc/systemd/journald.conf.d/50-leukoscope.conf"
    journald.parent.mkdir(parents=True)
    journald.write_text("# somebody's own\n")
    bystander = root / "etc/udev/rules.d/99-mine.rules"
    bystander.parent.mkdir(parents=True)
    bystander.write_text("# mine\n")
    assert install(root).code == 0
    assert journald.read_text() != "# somebody's own\n"
    record = root / "var/lib/leukoscope/record"
    record.mkdir(parents=True)
    (record / "record.sqlite").write_text("verdicts")
    altered = root / "etc/systemd/system.conf.d/50-leukoscope.conf"
    altered.write_text("[Manager]\nRuntimeWatchdogSec=10\n")

    told = run("uninstall.sh", "--root", root)
    assert (told.code, told.err) == (0, "")
    assert journald.read_text() == "# somebody's own\n"
    assert bystander.read_text() == "# mine\n"
    assert "RuntimeWatchdogSec=10" in altered.read_text()
    assert "was changed since" in told.out
    assert (record / "record.sqlite").read_text() == "verdicts"
    assert (root / "etc/leukoscope/edge.toml").exists()
    assert not list((root / "etc/systemd/system").rglob("*.*"))
    again = run("uninstall.sh", "--root", root)
    assert (again.code, again.out.splitlines()[-1]) == (0, "nothing changed: all of it was so already")


def test_purge_takes_everything_and_a_rehearsal_of_it_nothing(tmp_path: Path) -> None:
    root = paper_root(tmp_path / "root")
    original = set(tree(root))
    assert install(root).code == 0
    (root / "var/lib/leukoscope").mkdir()
    run("install.sh", "--root", root, "--steps", FILE_STEPS)
    before = tree(root)
    assert "no way back" in run("uninstall.sh", "--root", root, "--purge", "--dry-run").out
    assert tree(root) == before
    assert run("uninstall.sh", "--root", root, "--purge").code == 0
    assert not (root / "etc/leukoscope").exists()
    left = {path for path in set(tree(root)) - original if (root / path).is_file() or (root / path).is_symlink()}
    assert not left


def test_what_is_not_installed_is_not_uninstalled(tmp_path: Path) -> None:
    told = run("uninstall.sh", "--root", paper_root(tmp_path / "root"))
    assert (told.code, "nothing to undo" in told.out) == (0, True)


@pytest.fixture
def collected(tmp_path: Path) -> Path:
    """A folder as collect.sh leaves it, with next to nothing in it."""
    folder = tmp_path / "collected"
    (folder / "debs").mkdir(parents=True)
    (folder / "debs" / "Packages").write_text("")
    (folder / "leukoscope-0.1.0-py3-none-any.whl").write_text("wheel")
    for name in ("device", "page"):
        (folder / f"{name}.lock").write_text("numpy==1.26.4 --hash=sha256:00\n")
    (folder / "collected.txt").write_text("release=bookworm\narchitecture=arm64\npython=3.11\n")
    seal(folder)
    return folder


def seal(folder: Path) -> str:
    sums = "".join(
        f"{hashlib.sha256(path.read_bytes()).hexdigest()}  ./{path.relative_to(folder)}\n"
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != "SHA256SUMS"
    )
    (folder / "SHA256SUMS").write_text(sums)
    return hashlib.sha256(sums.encode()).hexdigest()


def rehearse(root: Path, *words: object) -> Told:
    return run("install.sh", "--root", root, "--dry-run", *words)


def test_a_collected_folder_is_taken_as_it_was_collected(tmp_path: Path, collected: Path) -> None:
    root = paper_root(tmp_path / "root")
    told = rehearse(root, "--offline", collected, "--digest", seal(collected))
    assert (told.code, told.err) == (0, "")
    (collected / "._device.lock").write_text("strewn about by another system")
    assert rehearse(root, "--offline", collected).code == 0


def test_a_collected_folder_that_was_altered_is_refused(tmp_path: Path, collected: Path) -> None:
    root = paper_root(tmp_path / "root")
    digest = seal(collected)
    extra = collected / "wheels-numpy.whl"
    extra.write_text("slipped in")
    told = rehearse(root, "--offline", collected)
    assert (told.code, "does not list" in told.err) == (1, True)
    seal(collected)  # whoever slips a file in can also rewrite the sums: that is what the digest is for
    assert rehearse(root, "--offline", collected).code == 0
    told = rehearse(root, "--offline", collected, "--digest", digest)
    assert (told.code, "do not use this folder" in told.err) == (1, True)
    extra.unlink()
    seal(collected)
    (collected / "device.lock").write_text("numpy==1.26.4 --hash=sha256:01\n")
    told = rehearse(root, "--offline", collected)
    assert (told.code, "is not as it was collected" in told.err) == (1, True)
    (collected / "device.lock").unlink()
    assert rehearse(root, "--offline", collected).code == 1
    (collected / "device.lock").symlink_to("/etc/passwd")
    assert rehearse(root, "--offline", collected).code == 1


@pytest.mark.parametrize(("release", "architecture"), [("trixie", "arm64"), ("bookworm", "amd64")])
def test_a_folder_collected_for_another_system_is_refused(
    tmp_path: Path, collected: Path, release: str, architecture: str
) -> None:
    told = rehearse(paper_root(tmp_path / "root", release, architecture), "--offline", collected)
    assert (told.code, "was collected for" in told.err) == (2, True)


def test_a_lock_is_read_for_the_device_as_the_tests_read_it() -> None:
    """Two readers of the same lock, one of them on whatever Python a collecting machine has."""
    from tests.install.device_lock import locked

    for python in ("3.11", "3.13"):
        for machine in ("x86_64", "aarch64"):
            words = [
                "python3",
                str(SCRIPTS / "offline/lines_for.py"),
                str(ROOT / "requirements/device.lock"),
                python,
                machine,
            ]
            done = subprocess.run(words, capture_output=True, text=True, check=True)
            assert done.stdout.split() == locked(python, machine).split()
