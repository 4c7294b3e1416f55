"""The image to flash, switched on: to the service and its first verdict; then the plug is pulled, and it starts again.

What is booted: the image as image/build.sh wrote it, on a card that is larger, with the image's own kernel and
initramfs (Debian's) and the command line of its firmware, on qemu's virtual board. No bit of the image is changed
before; systemd is told over the kernel's command line to be patient, and to say on the console what it does.
"""

import re
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.commands import shell
from tests.edge.serving.update.world import NAME
from tests.pi.cards.card import MIB, Card, card, tool
from tests.pi.cards.emulated import PATIENCE, drop_ins, switched_on
from tests.pi.debian import CannotBuildError
from tests.pi.signed_bundles import signed_bundles

pytestmark = [pytest.mark.slow, pytest.mark.nightly, pytest.mark.timeout(2400)]
LARGER_MB = 300
SERVICE = "leukoscope.service"
# The service's notes, which have no verdicts in them, go to the console.
SAYING = "systemd.journald.forward_to_console=1 systemd.journald.max_level_console=info systemd.show_status=0 quiet"
WANTED = 3  # verdicts
MOST_REWRITTEN = 32  # blocks of 4 KiB; 9 were seen
FAILED = "Failed to start "


def words(kind: str) -> tuple[str, ...]:
    """For image/build.sh: on arm64 the bundle that ships; on amd64 a site's, which is quick to emulate."""
    if kind == "arm64":
        return ("--read-only-root",)
    site = signed_bundles().path
    return ("--read-only-root", "--", "--trust", str(site / "site.pub"), "--bundle", str(site / "1" / NAME))


@dataclass(frozen=True)
class Life:
    """What was seen of a card in two lives.

    Attributes:
        rewritten: blocks of the root's partition that differ from what was built, after the plug was pulled.
        root: what dumpe2fs says of the root's file system then.
        first: the console until the plug was pulled.
        second: the console until it was switched off in order.
        cut: the record after the first life.
        ended: the record after the second life.
    """

    rewritten: int
    root: str
    first: str
    second: str
    cut: Path
    ended: Path


def verdicts(record: Path) -> int:
    """How many are stored; 0 without a record."""
    if not (record / "record.sqlite").is_file():
        return 0
    with closing(sqlite3.connect(record / "record.sqlite")) as database:
        try:
            return int(database.execute("SELECT count(*) FROM verdicts").fetchone()[0])
        except sqlite3.OperationalError:  # its tables are not there yet
            return 0


def two_lives(kind: str, folder: Path) -> Life:
    """Boot it on a larger card until verdicts are stored, pull the plug, start it again, and switch it off."""
    built = card("trixie", kind, *words(kind))
    disk = Card(folder / "card.img", kind)
    tool("cp", "--sparse=always", built.path, disk.path)
    with disk.path.open("r+b") as stream:
        stream.truncate(disk.path.stat().st_size + LARGER_MB * MIB)
    before = disk.partition(2, folder / "before.part")
    kernel = disk.kernel(folder, SAYING, "systemd.default_device_timeout_sec=600", drop_ins({SERVICE: PATIENCE}))

    def live(name: str, beyond: int) -> tuple[str, Path]:
        with switched_on(kind, kernel, disk.path, folder) as machine:
            looks = folder / "looks"
            looks.mkdir(exist_ok=True)
            machine.wait_for(lambda said: f"Started {SERVICE}" in said, "the service is up")
            machine.wait_for(lambda _: verdicts(disk.record(looks)) >= beyond + WANTED, f"{WANTED} verdicts more")
            if name == "cut":
                machine.pull_the_plug()
            else:
                machine.press_power()
            said = machine.console
        kept = folder / name
        kept.mkdir()
        return said, disk.record(kept)

    first, cut = live("cut", 0)
    after = disk.partition(2, folder / "after.part")
    rewritten, root = different_blocks(before, after), tool("dumpe2fs", "-h", after)
    second, ended = live("ended", verdicts(cut))
    return Life(rewritten, root, first, second, cut, ended)


def different_blocks(one: Path, other: Path) -> int:
    """How many blocks of 4 KiB differ."""
    with one.open("rb") as first, other.open("rb") as second:
        blocks = iter(lambda: (first.read(4096), second.read(4096)), (b"", b""))
        return sum(a != b for a, b in blocks)


@pytest.fixture(scope="module", params=["amd64", "arm64"])
def life(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Life]:
    folder = tmp_path_factory.mktemp(request.param)
    try:
        yield two_lives(request.param, folder)
    except CannotBuildError as error:
        pytest.skip(f"no image is built or booted here: {error}")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def test_from_flashed_to_the_first_verdict(life: Life) -> None:
    assert f"Started {SERVICE}" in life.first
    with closing(sqlite3.connect(life.cut / "record.sqlite")) as database:
        rows = database.execute("SELECT label, reason FROM verdicts").fetchall()
    assert len(rows) >= WANTED
    assert all(label in {"Benign", "Early", "Pre", "Pro"} or reason for label, reason in rows)


def test_no_unit_fails_in_either_life(life: Life) -> None:
    """But for one that names what a virtual board has not: uvcvideo is not in the kernel for clouds."""
    for said in (life.first, life.second):
        failed = {line.partition("Failed to start ")[2].split()[0] for line in said.splitlines() if FAILED in line}
        assert failed <= {"systemd-modules-load.service"}


def test_the_record_s_partition_took_the_rest_of_the_card(life: Life) -> None:
    said = re.search(r"Successfully resized \S+ to ([0-9.]+)M bytes", life.first)
    assert said is not None and float(said[1]) > 256 + LARGER_MB - 10


def test_the_root_is_read_only_and_clean_when_the_plug_is_pulled(life: Life) -> None:
    """A start writes that it mounted the root (superblock, journal), for the firmware says "rw"; then nothing does."""
    assert "overlayroot: " not in life.first  # its warnings: then the root would be one that is written to
    assert "Finished leukoscope-root-below.service" in life.first
    assert life.rewritten <= MOST_REWRITTEN
    assert "needs_recovery" not in life.root and re.search(r"^Filesystem state: +clean$", life.root, re.MULTILINE)
    made = [said.count("generating new host keys") for said in (life.first, life.second)]
    assert made == [1, 1], "those of the start before are gone with it"


def test_after_the_plug_was_pulled_the_record_is_sound_and_goes_on(life: Life) -> None:
    cut, ended = verdicts(life.cut), verdicts(life.ended)
    assert ended >= cut + WANTED
    for record in (life.cut, life.ended):
        done = shell("edge", "verify", "--store", record)
        assert done.returncode == 0 and done.stdout.startswith("sound"), done.stdout + done.stderr
    with closing(sqlite3.connect(life.ended / "record.sqlite")) as database:
        runs = database.execute("SELECT ended IS NOT NULL FROM runs ORDER BY run").fetchall()
    assert [bool(ended) for (ended,) in runs] == [False, True]  # the first was cut off, the second was told to end


def test_a_record_that_lost_what_it_had_is_seen(life: Life, tmp_path: Path) -> None:
    """Negative control: verifying finds what a card that lies about writing would leave."""
    copy = shutil.copytree(life.ended, tmp_path / "record")
    with closing(sqlite3.connect(copy / "record.sqlite")) as database, database:
        database.execute("DELETE FROM entries WHERE id = (SELECT max(id) FROM entries WHERE type = 'verdict')")
    assert shell("edge", "verify", "--store", copy).returncode == 1
