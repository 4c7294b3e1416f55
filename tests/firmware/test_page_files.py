"""install.sh --page and its fellows on root file systems of paper: written, refused, run twice, undone."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from edge.settings import profile as settings
from tests.firmware.paper_roots import FILE_STEPS, PAGE_UID, ROOT, SCRIPTS, STANZA, Told, paper_root, run, tree

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="install.sh changes a root file system as root only")
UNITS = "etc/systemd/system"
OURS = {
    f"{UNITS}/leukoscope-page.service",
    f"{UNITS}/leukoscope.service.d/page.conf",
    f"{UNITS}/leukoscope.target.wants/leukoscope-page.service",
    "var/lib/leukoscope-page",
}
NETWORKED = ("--page", "--page-host", "0.0.0.0")


def install(root: Path, *words: object) -> Told:
    return run("install.sh", "--root", root, "--steps", f"{FILE_STEPS},page,address", *words)


def with_packages(root: Path, *names: str) -> Path:
    status = root / "var/lib/dpkg/status"
    status.write_text(status.read_text() + "".join(STANZA.format(name, "arm64", "1") for name in names))
    return root


def paths(root: Path) -> set[str]:
    return {path for path in tree(root) if not (root / path).is_dir() or (root / path).is_symlink()}


def test_without_the_word_nothing_changes(tmp_path: Path) -> None:
    bare, paged = paper_root(tmp_path / "bare"), paper_root(tmp_path / "paged")
    assert install(bare).code == 0
    told = install(paged, "--page")
    assert (told.code, told.err) == (0, "")
    assert OURS - {path for path in OURS if "leukoscope-page" not in path} <= paths(paged) - paths(bare)
    assert not [path for path in paths(bare) if "page" in path]
    assert "[page]" not in (bare / "etc/leukoscope/edge.toml").read_text()
    one, other = ((root / "etc/leukoscope/edge.toml").read_text() for root in (bare, paged))
    assert other.startswith(one)


@pytest.mark.slow
@pytest.mark.parametrize("release", ["bookworm", "trixie"])
def test_a_second_run_changes_nothing_and_one_without_the_word_keeps_the_page(release: str, tmp_path: Path) -> None:
    root = with_packages(paper_root(tmp_path / "root", release), "avahi-daemon", "avahi-utils", "cage", "openssl")
    (root / "etc/passwd").write_text(
        (root / "etc/passwd").read_text() + "leukoscope-kiosk:x:61003:61003::/:/bin/false\n"
    )
    words = (*NETWORKED, "--page-allow", "192.168.4.0/24", "--mdns", "--kiosk")
    first = install(with_packages(root, "chromium"), *words)
    assert (first.code, first.err) == (0, "")
    before = tree(root)
    for again in (words, ()):
        told = install(root, *again)
        assert (told.code, told.err, told.out.splitlines()[-1]) == (0, "", "nothing changed: all of it was so already")
        assert tree(root) == before
    assert (root / UNITS / "leukoscope-page.service.d/back-off.conf").exists() == (release == "trixie")


def test_the_profile_is_one_that_edge_reads(tmp_path: Path) -> None:
    root = paper_root(tmp_path / "root")
    assert install(root, *NETWORKED).code == 0
    profile = settings.load(root / "etc/leukoscope/edge.toml")
    assert (profile.page.host, profile.page.tls) == ("0.0.0.0", True)
    assert profile.page.folder == Path("/var/lib/leukoscope-page")
    assert (profile.bench.socket, profile.bench.group) == (Path("/run/leukoscope/instrument.sock"), "leukoscope-page")
    alone = paper_root(tmp_path / "alone")
    assert install(alone, "--page").code == 0
    assert settings.load(alone / "etc/leukoscope/edge.toml").page.loopback


def test_the_port_of_scripts_and_units_is_the_profile_s(tmp_path: Path) -> None:
    port = str(settings.Settings().page.port)
    assert f"readonly PAGE_PORT={port}\n" in (SCRIPTS / "lib.sh").read_text()
    assert f"<port>{port}</port>" in (SCRIPTS / "page/avahi.service").read_text()


@pytest.mark.slow
def test_a_profile_that_is_there_is_left_and_what_it_lacks_is_said(tmp_path: Path) -> None:
    root = paper_root(tmp_path / "root")
    assert install(root).code == 0
    mine = root / "etc/leukoscope/edge.toml"
    before = mine.read_text()
    told = install(root, *NETWORKED)
    assert (told.code, mine.read_text()) == (0, before)
    said = "\n".join(line.strip() for line in told.out.splitlines())
    assert "[bench]" in said and 'host = "0.0.0.0"' in said
    mine.write_text(before + said[said.index("[bench]") : said.index("[2/")])  # what it says is what is missing
    assert settings.load(mine).page.host == "0.0.0.0"
    assert "The page needs these lines" not in install(root, *NETWORKED).out


def test_the_folder_is_the_page_s_alone_and_on_the_record_s_partition(tmp_path: Path) -> None:
    root = paper_root(tmp_path / "root")
    assert install(root, "--page").code == 0
    folder = root / "var/lib/leukoscope/page"
    state = folder.stat()
    assert (state.st_mode & 0o777, state.st_uid, state.st_gid) == (0o700, PAGE_UID, PAGE_UID)
    assert (root / "var/lib/leukoscope-page").readlink() == Path("/var/lib/leukoscope/page")


def test_a_record_that_was_closed_to_the_group_is_opened_for_reading_alone(tmp_path: Path) -> None:
    root = paper_root(tmp_path / "root")
    record = root / "var/lib/leukoscope/record"
    (record / "images/s1").mkdir(parents=True)
    for path in (record / "record.sqlite", record / "images/s1/000001.png"):
        path.write_text("")
        path.chmod(0o600)
    record.chmod(0o700)
    assert install(root, "--page").code == 0
    modes = [
        path.stat().st_mode & 0o077 for path in (record, record / "record.sqlite", record / "images/s1/000001.png")
    ]
    assert modes == [0o050, 0o040, 0o040]
    assert install(root, "--page").out.splitlines()[-1] == "nothing changed: all of it was so already"


@pytest.mark.slow
def test_who_may_connect_is_for_the_unit_and_the_firewall_the_same(tmp_path: Path) -> None:
    root = paper_root(tmp_path / "root")
    assert install(root, *NETWORKED, "--page-allow", "192.168.4.0/24", "--page-allow", "fd00::/8").code == 0
    dropin = (root / UNITS / "leukoscope-page.service.d/network.conf").read_text()
    assert re.findall(r"^IPAddressAllow=(.*)$", dropin, re.M) == ["192.168.4.0/24", "fd00::/8"]
    rules = (root / "opt/leukoscope/page.nft").read_text()
    assert "ip saddr { 192.168.4.0/24 } accept" in rules and "ip6 saddr { fd00::/8 } accept" in rules
    private = paper_root(tmp_path / "private")
    assert install(private, *NETWORKED).code == 0
    dropin = (private / UNITS / "leukoscope-page.service.d/network.conf").read_text()
    assert "IPAddressAllow=192.168.0.0/16" in dropin and "0.0.0.0/0" not in dropin and "any" not in dropin
    alone = paper_root(tmp_path / "alone")
    assert install(alone, "--page").code == 0
    assert not (alone / UNITS / "leukoscope-page.service.d/network.conf").exists()


def test_nftables_takes_the_rules(tmp_path: Path) -> None:
    if shutil.which("nft") is None:
        pytest.skip("nft is not installed (apt install nftables)")
    root = paper_root(tmp_path / "root")
    assert install(root, *NETWORKED).code == 0
    rules = root / "opt/leukoscope/page.nft"
    done = subprocess.run(["nft", "--check", "--file", rules], capture_output=True, text=True, check=False)
    if "Operation not permitted" in done.stderr or "cache initialization" in done.stderr:
        pytest.skip("this kernel lets nobody look at its rules")
    assert (done.returncode, done.stderr) == (0, "")
    rules.write_text(rules.read_text().replace("accept", "acept", 1))
    assert subprocess.run(["nft", "--check", "--file", rules], capture_output=True, check=False).returncode


@pytest.mark.slow
def test_name_and_kiosk_come_by_their_words_alone(tmp_path: Path) -> None:
    root = paper_root(tmp_path / "root")
    (root / "etc/passwd").write_text(
        (root / "etc/passwd").read_text() + "leukoscope-kiosk:x:61003:61003::/:/bin/false\n"
    )
    assert install(root, *NETWORKED).code == 0
    assert not [path for path in paths(root) if "kiosk" in path or "avahi" in path or "name" in path]
    with_packages(root, "avahi-daemon", "avahi-utils", "cage", "chromium", "openssl")
    told = install(root, *NETWORKED, "--mdns", "--kiosk")
    assert (told.code, told.err) == (0, "")
    kiosk = (root / UNITS / "leukoscope-kiosk.service").read_text()
    assert "Environment=LEUKOSCOPE_PAGE=https://127.0.0.1:8443/\n" in kiosk and "@URL@" not in kiosk
    assert (root / UNITS / "avahi-daemon.service.wants/leukoscope-name.service").is_symlink()
    alone = with_packages(paper_root(tmp_path / "alone"), "cage", "chromium", "openssl")
    (alone / "etc/passwd").write_text((root / "etc/passwd").read_text())
    assert install(alone, "--page", "--kiosk").code == 0
    assert "LEUKOSCOPE_PAGE=http://127.0.0.1:8443/\n" in (alone / UNITS / "leukoscope-kiosk.service").read_text()


def test_the_name_is_the_machine_s_and_the_same_in_shell_and_python(tmp_path: Path) -> None:
    from edge.settings.announced_name import name_of

    machine_id = Path("/etc/machine-id")
    if not machine_id.exists() or not machine_id.read_bytes().strip():
        pytest.skip("this machine has no id")
    said = subprocess.run([SCRIPTS / "page/page-name.sh"], capture_output=True, text=True, check=True).stdout.strip()
    assert re.fullmatch(r"leukoscope-[0-9a-f]{4}", said)
    assert said == name_of(machine_id.read_bytes())
    assert name_of(b"another\n") != name_of(b"machine\n")


@pytest.mark.slow
@pytest.mark.parametrize(
    "words",
    [
        ["--page-host", "0.0.0.0"],
        ["--kiosk"],
        ["--mdns"],
        ["--page", "--mdns"],
        ["--page", "--page-allow", "192.168.4.0/24"],
        ["--page", "--page-host", "lab-3"],
        ["--page", "--page-host", '0.0.0.0"'],
        ["--page", "--page-host", "1.2.3.4.5"],
        ["--page", "--page-host", "0.0.0.0", "--page-allow", "any"],
        ["--page", "--page-host", "0.0.0.0", "--page-allow", "10.0.0.0/8 drop"],
        ["--page", "--page-host"],
    ],
)
def test_a_wrong_request_is_refused_before_anything(tmp_path: Path, words: list[str]) -> None:
    root = paper_root(tmp_path / "root")
    before = tree(root)
    told = run("install.sh", "--root", root, *words)
    assert (told.code, told.out, told.err.count("\n")) == (2, "", 1), told.err
    assert tree(root) == before


@pytest.mark.slow
def test_uninstall_removes_it_all(tmp_path: Path) -> None:
    root = with_packages(paper_root(tmp_path / "root"), "avahi-daemon", "avahi-utils", "cage", "chromium", "openssl")
    (root / "etc/passwd").write_text(
        (root / "etc/passwd").read_text() + "leukoscope-kiosk:x:61003:61003::/:/bin/false\n"
    )
    original = paths(root)
    assert install(root, *NETWORKED, "--mdns", "--kiosk").code == 0
    users = root / "var/lib/leukoscope/page/users.sqlite"
    users.write_text("who may log in")
    told = run("uninstall.sh", "--root", root)
    assert (told.code, told.err) == (0, "")
    left = {path for path in paths(root) - original if "page" in path or "kiosk" in path or "name" in path}
    assert left == {"var/lib/leukoscope/page/users.sqlite"}  # as the record: it stays without --purge
    again = run("uninstall.sh", "--root", root)
    assert (again.code, again.out.splitlines()[-1]) == (0, "nothing changed: all of it was so already")
    assert install(root).code == 0  # and does not come back by itself
    assert not (root / UNITS / "leukoscope-page.service").exists()
    assert run("uninstall.sh", "--root", root, "--purge", "--dry-run").code == 0
    shutil.rmtree(root / "var/lib/leukoscope")


@pytest.mark.slow
def test_under_a_read_only_root_its_folder_stays_on_the_record_s_partition(tmp_path: Path) -> None:
    root = with_packages(paper_root(tmp_path / "root", "trixie"), "overlayroot", "busybox")
    assert install(root, "--page").code == 0
    told = run("read-only-root.sh", "enable", "--root", root, "--data", "LABEL=leukoscope")
    assert (told.code, told.err) == (0, "")
    mounted = [line.split()[1] for line in (root / "etc/fstab").read_text().splitlines() if "leukoscope" in line]
    assert mounted == ["/var/lib/leukoscope"]
    assert (root / "var/lib/leukoscope-page").readlink().is_relative_to(mounted[0])
    unit = (root / UNITS / "leukoscope-page.service").read_text()
    # On a new partition the folder is not there yet: systemd makes it, with owner and mode, before the page starts.
    assert "StateDirectory=leukoscope/page\nStateDirectoryMode=0700\n" in unit
    assert "RequiresMountsFor=/var/lib/leukoscope\n" in unit


def test_a_folder_that_was_collected_without_the_page_is_refused_for_it(tmp_path: Path) -> None:
    from tests.firmware.test_install import seal

    folder = tmp_path / "collected"
    (folder / "debs").mkdir(parents=True)
    (folder / "debs/Packages").write_text("")
    (folder / "leukoscope-0.1.0-py3-none-any.whl").write_text("wheel")
    (folder / "device.lock").write_text("numpy==1.26.4 --hash=sha256:00\n")
    (folder / "collected.txt").write_text("release=bookworm\narchitecture=arm64\npython=3.11\n")
    seal(folder)
    root = paper_root(tmp_path / "root")
    assert run("install.sh", "--root", root, "--dry-run", "--offline", folder).code == 0
    told = run("install.sh", "--root", root, "--dry-run", "--offline", folder, "--page")
    assert (told.code, "collected before there was a page" in told.err) == (2, True)


def pins(lock: str) -> dict[str, str]:
    text = (ROOT / "requirements" / lock).read_text()
    return {line.split()[0]: line for line in re.findall(r"^[A-Za-z0-9_.-]+==\S+.*?(?= \\)", text, re.M)}


def test_the_page_s_lock_is_the_device_s_and_more() -> None:
    """Wheels are collected for the page's lock alone, so it must hold every pin of the device's."""
    device, page = pins("device.lock"), pins("page.lock")
    assert len(device) > 15 and len(page) > len(device) + 10
    assert set(device) <= set(page)
    assert not [pin for pin in page if re.match(r"(tensorflow|keras)", pin)]
