"""A card's first start by cloud-init: a stock trixie with cloud-init, and the three files on its first partition.

cloud-init is Debian's, told where the files lie as Raspberry Pi OS tells it (`SEED`), and runs by systemd at the boot
of a machine without a network. Two words of the files are changed as their reader must: the key, and the camera, which
is a drawn slide here.
"""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.paths import ROOT
from tests.pi.booted.instrument import UNIT, goes_on, select
from tests.pi.build_root import DEFAULT_FOLDER
from tests.pi.debian import CannotBuildError
from tests.pi.machine import Booted, Root, over, wait_until
from tests.pi.offline_folder import offline_folder
from tests.pi.stock_root import stock

pytestmark = [pytest.mark.slow, pytest.mark.timeout(2400)]
BOOT = "/boot/firmware"
# As in Raspberry Pi OS: the seed lies on the first partition, and nothing else is asked.
SEED = f"datasource_list: [NoCloud, None]\ndatasource:\n  NoCloud:\n    seedfrom: file://{BOOT}\n"
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHRlc3RlZC1pbi1hLWNvbnRhaW5lci1hbmQtbm93aGVyZQ technician"


def first_partition(folder: Path) -> Path:
    """The three files with their REPLACEs replaced, and the collected folder beside them."""
    shutil.copytree(ROOT / "firmware_scripts/cloud-init", folder)
    user_data = (folder / "user-data").read_text()
    user_data = user_data.replace("ssh-ed25519 REPLACE technician", KEY).replace("picamera2:0", "sim:?fps=10")
    assert "REPLACE technician" not in user_data
    (folder / "user-data").write_text(user_data)
    offline = offline_folder("trixie", "amd64").path
    shutil.copytree(offline, folder / "leukoscope")
    return folder


@pytest.fixture(scope="module")
def card(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Root, Path]]:
    """A root with cloud-init, never started, and its first partition."""
    folder = tmp_path_factory.mktemp("card")
    try:
        below = stock("trixie", "amd64", "cloud-init", "openssh-server", "netplan.io")
        with over([below], folder) as root:
            (root.path / "etc/cloud/cloud.cfg.d/99_seed.cfg").write_text(SEED)
            (root.path / BOOT[1:]).mkdir(parents=True)
            yield root, first_partition(DEFAULT_FOLDER / f"first-partition.{folder.name}")
    except CannotBuildError as error:
        pytest.skip(f"no first start here: {error}")
    finally:
        shutil.rmtree(DEFAULT_FOLDER / f"first-partition.{folder.name}", ignore_errors=True)


def started(card: tuple[Root, Path]) -> "Iterator[Booted]":
    root, partition = card
    return root.booted([f"{partition}:{BOOT}"])


def test_the_first_start_sets_the_instrument_up_and_a_second_does_not_begin_again(card: tuple[Root, Path]) -> None:
    assert "technician" not in (card[0].path / "etc/passwd").read_text()  # of itself there is nothing
    with started(card) as machine:
        done = machine.run("cloud-init", "status", "--wait", "--long", code=None, timeout_s=600)
        log = machine.told("cat", "/var/log/cloud-init-output.log")
        assert "status: done" in done.stdout, done.stdout + log[-3000:]
        assert "errors: []" in done.stdout
        assert "  stored: " in log and "(research use only)" in log
        assert "The instrument is set up after" in log
        assert machine.told("hostname") == "leukoscope"
        assert machine.told("getent", "passwd", "technician").endswith(":/bin/bash")
        assert machine.told("passwd", "--status", "technician").split()[1] == "L"  # no password logs in
        assert KEY.split()[1] in machine.told("cat", "/home/technician/.ssh/authorized_keys")
        assert {"sudo", "video", "plugdev"} <= set(machine.told("id", "-nG", "technician").split())
        assert machine.shown(UNIT, "ActiveState") == "active"
        goes_on(machine)
        changes = machine.told("sha256sum", "/opt/leukoscope/changes.tsv")
        first = machine.told("ls", "/var/lib/cloud/instance/sem")
    with started(card) as machine:
        machine.run("cloud-init", "status", "--wait", code=None, timeout_s=600)
        wait_until(lambda: machine.shown(UNIT, "ActiveState") == "active")
        goes_on(machine)
        assert machine.told("sha256sum", "/opt/leukoscope/changes.tsv") == changes
        assert machine.told("ls", "/var/lib/cloud/instance/sem") == first
        [[runs]] = select(machine, "SELECT count(*) FROM runs")
        assert runs >= 2
