"""Attacks on updates, each as an attacker would try it: nothing is installed, and the old bundle serves on.

docs/reference/attacks.md names these tests, and the end of this file holds it to that.
"""

import functools
import io
import json
import os
import re
import shutil
import stat
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from convert.signing.repository import FRESH_DAYS, Publication
from convert.signing.repository_keys import RoleKeys, generate_all
from edge.bundle import bundle as bundles
from edge.bundle.archives.archive import zip_bytes
from edge.bundle.files import REQUIRED
from edge.serving.update.fetch import Fetcher
from tests.edge.serving.update.device import Device, copied
from tests.edge.serving.update.server import (
    Authority,
    Server,
    answering,
    dripping,
    endless,
    redirecting_to,
    serving,
    silent,
)
from tests.edge.serving.update.world import NAME, World, signed, write_bundle
from tests.paths import ROOT
from tests.signing import make_key

PAGE = ROOT / "docs" / "reference" / "attacks.md"
FILES = (*REQUIRED, "report.html", "manifest.json", "manifest.sig")


def mostly_slow(*values: Any, of: tuple[Any, ...]) -> list[Any]:
    """`values` in every run of the tests, all others of `of` in the slow ones."""
    return [each if each in values else pytest.param(each, marks=pytest.mark.slow) for each in of]


@pytest.fixture
def device(
    world: World, image: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Device]:
    """Serves version 1, confirmed; and still does after the test, whatever was tried."""
    memory = Path("/dev/shm")  # where a sync costs nothing
    folder = tempfile.mkdtemp(dir=memory if os.access(memory, os.W_OK) else tmp_path)
    device = Device.new(world, Path(folder), image, capsys, ["update 1", "confirm"])
    monkeypatch.setenv("STATE_DIRECTORY", str(device.state))
    monkeypatch.setattr("edge.bundle.trusted.DEFAULT_KEYS", world.trusted)
    yield device
    assert str(device.slots.current()) == f"a/{NAME}"
    assert device.serves() == 1
    assert device.left_over() == []
    shutil.rmtree(folder)


def refused(found: tuple[int, str, str], *said: str, code: int = 1) -> None:
    """One line on standard error that says why, and the exit code."""
    number, out, err = found
    errors = [line for line in err.splitlines() if line.startswith("error: ")]
    assert (number, out) == (code, ""), err
    assert len(errors) == 1 and "Traceback" not in err
    for each in said:
        assert each in errors[0]


def altered(bundle: Path, name: str) -> Path:
    """One bit of one file is another."""
    data = bytearray((bundle / name).read_bytes())
    data[len(data) // 2] ^= 1
    (bundle / name).write_bytes(data)
    return bundle


# --- files: a folder, a stick ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FILES)
def test_an_altered_byte_in_any_file(device: Device, world: World, tmp_path: Path, name: str) -> None:
    bundle = altered(copied(world.offer(2), tmp_path / NAME), name)
    refused(device.update(bundle))
    assert device.history()[-1]["what"] == "refused"


@pytest.mark.parametrize("name", mostly_slow("manifest.json", "golden.npz", of=FILES))
def test_a_missing_file(device: Device, world: World, tmp_path: Path, name: str) -> None:
    bundle = copied(world.offer(2), tmp_path / NAME)
    (bundle / name).unlink()
    refused(device.update(bundle), "holds no bundle" if name == "manifest.json" else name)


def test_a_signature_by_an_untrusted_key(device: Device, tmp_path: Path) -> None:
    bundle = signed(write_bundle(tmp_path, "of a stranger"), make_key(tmp_path / "keys", "stranger"), 9)
    refused(device.update(bundle), "none of them a trusted key")


def test_no_signature(device: Device, tmp_path: Path) -> None:
    refused(device.update(write_bundle(tmp_path, "of nobody")), "not signed")


def test_a_replaced_certificate(device: Device, world: World, tmp_path: Path) -> None:
    """Of a bundle that failed, made to say "pass": with the old manifest, and with one that fits it."""
    bundle = copied(world.offer(2), tmp_path / NAME)
    certificate = json.loads((bundle / "certificate.json").read_text())
    (bundle / "certificate.json").write_text(json.dumps({**certificate, "parity": "better than it was"}))
    refused(device.update(bundle), "certificate.json")
    loaded = bundles.load(world.offer(2), trust=bundles.NO_KEYS, allow_unsigned=True)
    made = write_bundle(tmp_path / "made", "version 2", certificate={**loaded.certificate, "parity": "better"})
    shutil.copy(world.offer(2) / "manifest.sig", made)
    refused(device.update(made), "signs another manifest")


def test_a_signature_of_another_bundle(device: Device, world: World, tmp_path: Path) -> None:
    bundle = copied(world.offer(2), tmp_path / NAME)
    shutil.copy(world.offer(3) / "manifest.sig", bundle)
    refused(device.update(bundle), "signs another manifest")


def test_a_bundle_under_another_name(device: Device, world: World, tmp_path: Path) -> None:
    """A signed bundle of another kind is not what this device runs, however its folder is called."""
    other = world.sign(write_bundle(tmp_path / "o", "other", name="other-int8"), 5, "other-int8")
    renamed = copied(other, tmp_path / NAME)
    refused(device.update(renamed), f"wanted is {NAME}")


def test_an_older_version_offered_as_new(
    world: World, image: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Signed, sound, and older than what was confirmed; also after the state of the slots was lost."""
    device = Device.new(world, tmp_path, image, capsys, ["update 1", "confirm", "update 2", "confirm"])
    monkeypatch.setenv("STATE_DIRECTORY", str(device.state))
    monkeypatch.setattr("edge.bundle.trusted.DEFAULT_KEYS", world.trusted)
    refused(device.update(world.offer(1)), "older than version 2")
    (device.slots.folder / "state.json").write_text("{")
    refused(device.update(world.offer(1)), "older than version 2")
    assert (device.slots.folder / "state.json.damaged").read_text() == "{"
    assert device.serves() == 2
    code, out, _ = device.update(world.offer(1), "--allow-older")  # the control: the same file, in so many words
    assert code == 0 and "installed" in out


def test_a_version_below_the_highest_that_was_confirmed(
    world: World, image: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Gone back by hand from 3 to 1: 2 is newer than what serves, and older than what was confirmed."""
    acts = ["update 1", "confirm", "update 3", "confirm"]
    device = Device.new(world, tmp_path, image, capsys, acts)
    monkeypatch.setattr("edge.serving.update.sandboxed_selftest.Proof.__call__", lambda self, bundle: None)
    words = ("--slots", device.slots.folder, "--trusted", world.trusted)
    assert device.edge("rollback", *words)[0] == 0
    refused(device.update(world.offer(2)), "older than version 3, which was confirmed here")
    assert device.update(world.offer(2), "--allow-older")[0] == 0  # the control


def test_the_same_version_twice(device: Device, world: World, tmp_path: Path) -> None:
    """Two bundles under one number: the second is refused, whoever signed it."""
    bundle = world.sign(write_bundle(tmp_path, "another version 1"), 1)
    refused(device.update(bundle), "another bundle under the same number")


def test_a_revoked_bundle_and_a_revoked_key(device: Device, world: World, tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    shutil.copytree(world.trusted, keys)
    digest = bundles.load(world.offer(2), trust=bundles.NO_KEYS, allow_unsigned=True).digest
    (keys / "recall.revoked").write_text(f"bundle {digest}\n")
    refused(device.update(world.offer(2), "--trusted", keys), "was revoked")
    (keys / "recall.revoked").write_text(f"key {world.key.public.id}\n")
    refused(device.update(world.offer(2), "--trusted", keys), "which was revoked")


@pytest.mark.parametrize("target", ["/etc/passwd", "../../secret", "model.tflite"])
def test_a_link_among_the_files(device: Device, world: World, tmp_path: Path, target: str) -> None:
    bundle = copied(world.offer(2), tmp_path / NAME)
    (bundle / "report.html").unlink()
    (bundle / "report.html").symlink_to(target)
    refused(device.update(bundle), "report.html")


def test_a_link_in_place_of_a_bundle_on_a_stick(device: Device, world: World, tmp_path: Path) -> None:
    stick = tmp_path / "stick"
    stick.mkdir()
    (stick / NAME).symlink_to(world.offer(2))
    refused(device.update(stick), "holds no bundle")


@pytest.mark.parametrize("name", ["..", ".hidden", "sub", "x.py"])
def test_unknown_names_among_the_files(device: Device, world: World, tmp_path: Path, name: str) -> None:
    bundle = copied(world.offer(2), tmp_path / NAME)
    if name == "sub":
        (bundle / name).mkdir()
    elif name != "..":
        (bundle / name).write_text("import os")
    else:
        os.mkfifo(bundle / "labels.txt.fifo")
    refused(device.update(bundle), "which is no file of a bundle")


def test_a_pipe_in_place_of_a_file(device: Device, world: World, tmp_path: Path) -> None:
    """It would hold a reader for ever."""
    bundle = copied(world.offer(2), tmp_path / NAME)
    (bundle / "model.tflite").unlink()
    os.mkfifo(bundle / "model.tflite")
    refused(device.update(bundle), "model.tflite")


@pytest.mark.parametrize("share", [0.0, 0.5, 0.99])
def test_a_truncated_golden_file(device: Device, world: World, tmp_path: Path, share: float) -> None:
    bundle = copied(world.offer(2), tmp_path / NAME)
    data = (bundle / "golden.npz").read_bytes()
    (bundle / "golden.npz").write_bytes(data[: int(len(data) * share)])
    refused(device.update(bundle), "golden.npz")


def test_golden_outputs_that_no_machine_gives(device: Device, world: World, tmp_path: Path) -> None:
    """Signed and whole: only the self-test finds it out, before anything is switched."""
    bundle = world.sign(write_bundle(tmp_path, "wrong", golden="wrong"), 9)
    refused(device.update(bundle), "self-test failed", "golden images differ")
    assert device.slots.place("b") is None


def test_a_sparse_file_of_a_terabyte(device: Device, world: World, tmp_path: Path) -> None:
    bundle = copied(world.offer(2), tmp_path / NAME)
    with (bundle / "model.tflite").open("r+b") as stream:
        stream.truncate(2**40)
    refused(device.update(bundle), "model.tflite")


# --- zip files -------------------------------------------------------------------------------------------------------


def files_of(bundle: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(bundle.iterdir())}


def zipped(members: dict[str, bytes], *, mode: int = stat.S_IFREG | 0o644, deflate: bool = False) -> bytes:
    """A zip file with any names in it."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED if deflate else zipfile.ZIP_STORED) as archive:
        for name, data in members.items():
            entry = zipfile.ZipInfo(name)
            entry.external_attr = (mode if name.endswith("report.html") else stat.S_IFREG | 0o644) << 16
            entry.compress_type = zipfile.ZIP_DEFLATED if deflate else zipfile.ZIP_STORED
            archive.writestr(entry, data)
    return stream.getvalue()


@pytest.mark.parametrize(
    "name", ["../model.tflite", "/etc/cron.d/x", f"{NAME}/../../x", f"{NAME}/sub/model.tflite", "a\\b"]
)
def test_names_that_lead_out_of_a_zip_file(device: Device, world: World, tmp_path: Path, name: str) -> None:
    path = tmp_path / "x.zip"
    path.write_bytes(zipped({**{f"{NAME}/{n}": d for n, d in files_of(world.offer(2)).items()}, name: b"x"}))
    refused(device.update(path), "x.zip")


def test_a_link_in_a_zip_file(device: Device, world: World, tmp_path: Path) -> None:
    path = tmp_path / "x.zip"
    members = {f"{NAME}/{n}": d for n, d in files_of(world.offer(2)).items()}
    path.write_bytes(zipped({**members, f"{NAME}/report.html": b"/etc/shadow"}, mode=stat.S_IFLNK | 0o777))
    refused(device.update(path), "is a link")


def test_a_zip_bomb(device: Device, world: World, tmp_path: Path) -> None:
    """64 KiB of manifest are allowed; this one unpacks to 512 MiB from half a MiB, and says so or lies about it."""
    path = tmp_path / "x.zip"
    honest = zipped({f"{NAME}/manifest.json": b"\0" * 2**25}, deflate=True)
    path.write_bytes(honest)
    refused(device.update(path), "unpacks to more than")
    lying = bytearray(honest)
    for signature, at in ((b"PK\3\4", 22), (b"PK\1\2", 24)):
        place = lying.index(signature) + at
        lying[place : place + 4] = (1000).to_bytes(4, "little")
    path.write_bytes(lying)
    refused(device.update(path), "x.zip")


# --- https -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def site(world: World, authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """An https server that this machine trusts, with version 2 as a zip file."""
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "b.zip").write_bytes(zip_bytes(NAME, files_of(world.offer(2))))
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.certificate))
    with serving(tmp_path / "site", authority) as server:
        yield server


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> Callable[[Server], None]:
    """Devices that wait 4 s for a word, and whose time is that of a server."""

    def be(server: Server) -> None:
        fetcher = functools.partial(Fetcher, silence_s=4.0, now=lambda: server.seconds)
        monkeypatch.setattr("edge.serving.update.repository.Fetcher", fetcher)  # first: it imports the other
        monkeypatch.setattr("edge.serving.update.fetch.Fetcher", fetcher)

    return be


def test_a_server_without_a_certificate_that_is_trusted(
    device: Device, site: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    refused(device.update(f"{site.url}/b.zip"), "certificate", code=4)


def test_a_zip_file_by_http(device: Device) -> None:
    refused(device.update("http://127.0.0.1:1/b.zip"), "by https alone", code=2)


def test_a_redirect_to_http(device: Device, site: Server, tmp_path: Path) -> None:
    with serving(tmp_path / "site") as plain:
        site.behave["b.zip"] = redirecting_to(f"{plain.url}/b.zip")
        refused(device.update(f"{site.url}/b.zip"), "not https", code=4)
        assert plain.asked == []


def test_redirects_without_end(device: Device, site: Server) -> None:
    site.behave["b.zip"] = redirecting_to("/b.zip")
    refused(device.update(f"{site.url}/b.zip"), "redirects", code=4)


def test_a_download_without_end(device: Device, site: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge.serving.update.sources.LARGEST_ZIP_BYTES", 2**21)
    site.behave["b.zip"] = endless
    refused(device.update(f"{site.url}/b.zip"), "exceeding the maximum allowed length", code=4)


@pytest.mark.parametrize(("behave", "said"), [(dripping, "slower than"), (silent, "no answer within")])
def test_a_server_that_takes_its_time(
    device: Device, site: Server, behave: Callable[..., None], said: str, impatient: Callable[[Server], None]
) -> None:
    site.behave["b.zip"] = behave
    impatient(site)
    refused(device.update(f"{site.url}/b.zip"), said, code=4)


def test_a_download_that_is_cut(device: Device, site: Server, tmp_path: Path) -> None:
    data = (tmp_path / "site" / "b.zip").read_bytes()
    site.behave["b.zip"] = answering(data[: len(data) // 2])
    refused(device.update(f"{site.url}/b.zip"), "b.zip")


def test_what_is_not_attacked_is_installed(device: Device, site: Server) -> None:
    """The control for all of the above: the same server, left alone; then back, for the check after each test."""
    code, out, _ = device.update(f"{site.url}/b.zip", "--json")
    assert code == 0 and json.loads(out)["action"] == "installed"
    assert device.serves() == 2
    assert device.edge("rollback", "--slots", device.slots.folder, "--trusted", device.world.trusted)[0] == 0


# --- a TUF repository ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def role_keys(tmp_path_factory: pytest.TempPathFactory) -> RoleKeys:
    return generate_all(tmp_path_factory.mktemp("keys"), 3, None)


class Repository:
    """A repository that offers version 1, and 2 to everyone; and what an attacker does to it."""

    def __init__(self, folder: Path, keys: RoleKeys, world: World) -> None:
        self.folder, self.keys, self.world = folder, keys, world
        Publication.new(folder, keys, 2, now()).write(keys, FRESH_DAYS)
        self.publish(1)

    def publish(self, version: int, rollout: int = 100) -> None:
        publication = Publication.load(self.folder, now())
        publication.add(self.world.offer(version), rollout)
        publication.write(self.keys, FRESH_DAYS)

    def refresh(self, when: datetime) -> None:
        publication = Publication.load(self.folder, when)
        publication.refresh()
        publication.write(self.keys, 1)

    @property
    def root(self) -> Path:
        return self.folder / "metadata" / "1.root.json"

    def metadata(self, name: str) -> Path:
        """The newest file of a role."""
        return max(self.folder.glob(f"metadata/*.{name}.json"), key=lambda path: int(path.name.partition(".")[0]))

    def target(self, version: int, name: str) -> Path:
        return next((self.folder / "targets" / NAME / str(version)).glob(f"*.{name}"))


def now() -> datetime:
    return datetime.now(UTC)


@pytest.fixture
def repository(tmp_path: Path, role_keys: RoleKeys, world: World) -> Iterator[tuple[Repository, Server]]:
    built = Repository(tmp_path / "repo", role_keys, world)
    with serving(built.folder) as server:
        yield built, server


def fetched(device: Device, repository: tuple[Repository, Server], *words: object) -> tuple[int, str, str]:
    return device.update(repository[1].url, "--root", repository[0].root, *words)


def test_older_metadata(device: Device, repository: tuple[Repository, Server], tmp_path: Path) -> None:
    """A repository as it was before, every signature valid, to a device that has seen a later one."""
    old = tmp_path / "old"
    shutil.copytree(repository[0].folder, old)
    repository[0].publish(2, rollout=0)
    assert fetched(device, repository)[0] == 0
    shutil.rmtree(repository[0].folder)
    shutil.copytree(old, repository[0].folder)
    refused(fetched(device, repository), "timestamp")


def test_expired_metadata(device: Device, repository: tuple[Repository, Server]) -> None:
    """Somebody keeps showing the repository of last year."""
    repository[0].refresh(now() - timedelta(days=400))
    refused(fetched(device, repository), "expired", "keeps news from this device")


def test_metadata_of_different_repositories_mixed(device: Device, repository: tuple[Repository, Server]) -> None:
    """Today's timestamp, yesterday's list of targets under today's name."""
    old = repository[0].metadata("targets").read_bytes()
    repository[0].publish(2)
    repository[0].metadata("targets").write_bytes(old)
    refused(fetched(device, repository), "Expected targets v3, got v2")


@pytest.mark.parametrize("role", mostly_slow("timestamp", of=("timestamp", "snapshot", "targets")))
def test_metadata_without_end(device: Device, repository: tuple[Repository, Server], role: str) -> None:
    repository[1].behave[f"{role}.json"] = endless
    refused(fetched(device, repository), "exceeding the maximum allowed length", code=4)


def test_a_target_without_end(device: Device, repository: tuple[Repository, Server]) -> None:
    repository[0].publish(2)
    repository[1].behave["/2/"] = endless
    refused(fetched(device, repository), "exceeding the maximum allowed length", code=4)


def test_a_target_that_is_announced_too_large(device: Device, repository: tuple[Repository, Server]) -> None:
    """By whoever holds the keys, or stole them: what a bundle cannot hold is not fetched."""
    publication = Publication.load(repository[0].folder, now())
    publication.add(repository[0].world.offer(2), 100)
    publication._targets.signed.targets[f"{NAME}/2/model.tflite"].length = 2**33
    publication.write(repository[0].keys, FRESH_DAYS)
    refused(fetched(device, repository), "model.tflite", "at most")
    assert not [path for path in repository[1].asked if path.endswith("model.tflite")]


@pytest.mark.parametrize(
    ("behave", "said"), [(dripping, "slower than"), pytest.param(silent, "no answer within", marks=pytest.mark.slow)]
)
@pytest.mark.parametrize("part", mostly_slow("timestamp.json", of=("timestamp.json", "model.tflite")))
def test_a_repository_that_takes_its_time(
    device: Device,
    repository: tuple[Repository, Server],
    part: str,
    behave: Callable[..., None],
    said: str,
    impatient: Callable[[Server], None],
) -> None:
    repository[0].publish(2)
    repository[1].behave[part] = behave
    impatient(repository[1])
    refused(fetched(device, repository), said, code=4)


@pytest.mark.parametrize("name", mostly_slow("model.tflite", "manifest.sig", of=FILES))
def test_a_target_of_wrong_contents(device: Device, repository: tuple[Repository, Server], name: str) -> None:
    repository[0].publish(2)
    target = repository[0].target(2, name)
    data = bytearray(target.read_bytes())
    data[-1] ^= 1
    target.write_bytes(data)
    refused(fetched(device, repository), name)


def test_a_target_of_wrong_length(device: Device, repository: tuple[Repository, Server]) -> None:
    repository[0].publish(2)
    target = repository[0].target(2, "model.tflite")
    target.write_bytes(target.read_bytes()[:-1])
    refused(fetched(device, repository), "length")


@pytest.mark.parametrize("name", ["../../../../etc/cron.d/x", "sub/model.tflite", "model.tflite/../x", "\n"])
def test_targets_with_names_that_lead_elsewhere(
    device: Device, repository: tuple[Repository, Server], name: str
) -> None:
    from tuf.api.metadata import TargetFile

    publication = Publication.load(repository[0].folder, now())
    publication.add(repository[0].world.offer(2), 100)
    path = f"{NAME}/2/{name}"
    publication._targets.signed.targets[path] = TargetFile.from_data(path, b"x", ["sha256"])
    publication.write(repository[0].keys, FRESH_DAYS)
    code, out, err = fetched(device, repository)
    assert code == 0 and "nothing to do" in out  # version 1, which serves, is all that is offered
    assert "which is no file of a bundle" in err


@pytest.mark.parametrize(
    "custom",
    [
        {"name": NAME, "version": 3, "rollout": 100, "digest": "0" * 64},
        {"name": "../x", "version": 2, "rollout": 100, "digest": "0" * 64},
        {"name": NAME, "version": 2, "rollout": 10**9, "digest": "0" * 64},
        {"name": NAME, "version": 2, "rollout": 100},
        None,
    ],
)
def test_a_release_that_contradicts_itself(
    device: Device, repository: tuple[Repository, Server], custom: dict[str, Any] | None
) -> None:
    publication = Publication.load(repository[0].folder, now())
    publication.add(repository[0].world.offer(2), 100)
    fields = publication._targets.signed.targets[f"{NAME}/2/manifest.json"].unrecognized_fields
    fields.pop("custom") if custom is None else fields.update(custom=custom)
    publication.write(repository[0].keys, FRESH_DAYS)
    code, out, err = fetched(device, repository)
    assert code == 0 and "nothing to do" in out
    assert "warning: " in err and "manifest.json" in err


def test_metadata_on_the_device_that_was_cut_short(device: Device, repository: tuple[Repository, Server]) -> None:
    """A power cut while it was written: it is fetched again, and a later rollback is noticed again."""
    assert fetched(device, repository)[0] == 0
    cache = device.state / "tuf"
    for path in sorted(path for path in cache.rglob("*.json") if not path.is_symlink()):
        path.write_bytes(path.read_bytes()[:20])
        assert fetched(device, repository)[0] == 0, path
    (cache / "root.json").unlink()
    assert fetched(device, repository)[0] == 0


@pytest.mark.parametrize("data", [b"", b"{}", b"not JSON", b'{"signatures": [], "signed": {"_type": "root"}}'])
def test_a_root_that_is_none(
    device: Device, repository: tuple[Repository, Server], tmp_path: Path, data: bytes
) -> None:
    (tmp_path / "root.json").write_bytes(data)
    refused(device.update(repository[1].url, "--root", tmp_path / "root.json"), repository[1].url)


def test_a_repository_with_another_root(
    device: Device, repository: tuple[Repository, Server], tmp_path: Path, world: World
) -> None:
    """All of it well made, by somebody else."""
    keys = generate_all(tmp_path / "theirs", 3, None)
    theirs = Repository(tmp_path / "their-repo", keys, world)
    theirs.publish(2)
    with serving(theirs.folder) as server:
        refused(fetched(device, (repository[0], server)), "signed")


def test_stolen_online_keys(device: Device, repository: tuple[Repository, Server], tmp_path: Path) -> None:
    """Snapshot and timestamp keys lie on a server: with them alone no release can be made."""
    keys = repository[0].keys
    publication = Publication.load(repository[0].folder, now())
    publication.add(repository[0].world.offer(2), 100)
    from tuf.api.metadata import Metadata

    forged = Metadata(publication._targets.signed)
    forged.signed.version += 1
    forged.sign(keys.of("timestamp")[0].signer())
    (repository[0].folder / "metadata" / f"{forged.signed.version}.targets.json").write_bytes(forged.to_bytes())
    publication._changed = {"snapshot"}
    publication._snapshot.signed.meta["targets.json"].version = forged.signed.version
    publication.write(RoleKeys(keys.folder, {r: keys.of(r) for r in ("snapshot", "timestamp")}), FRESH_DAYS)
    refused(fetched(device, repository), "targets was signed by 0/1 keys")


def test_stolen_repository_keys(device: Device, repository: tuple[Repository, Server], tmp_path: Path) -> None:
    """With every key of the repository, and none that signs bundles, nothing runs."""
    publication = Publication.load(repository[0].folder, now())
    bundle = signed(write_bundle(tmp_path / "evil", "evil"), make_key(tmp_path / "keys", "stranger"), 66)
    publication.add(bundle, 100)
    publication.write(repository[0].keys, FRESH_DAYS)
    refused(fetched(device, repository), "none of them a trusted key")


def test_a_release_under_a_higher_number_than_was_signed(
    device: Device, repository: tuple[Repository, Server], tmp_path: Path
) -> None:
    """The repository calls an old bundle new; its own signature says otherwise."""
    publication = Publication.load(repository[0].folder, now())
    targets = publication._targets.signed.targets
    for path in [path for path in targets if path.startswith(f"{NAME}/1/")]:
        name = path.rpartition("/")[2]
        target = targets[path]
        moved = f"{NAME}/9/{name}"
        copy = type(target).from_dict(target.to_dict(), moved)
        copy.unrecognized_fields["custom"] = {**target.custom, "version": 9}
        targets[moved] = copy
    publication._changed.add("targets")
    publication.write(repository[0].keys, FRESH_DAYS)
    shutil.copytree(repository[0].folder / "targets" / NAME / "1", repository[0].folder / "targets" / NAME / "9")
    refused(fetched(device, repository), "is version 1 by its signature and 9 in the repository")


# --- the page --------------------------------------------------------------------------------------------------------


def named_tests(text: str) -> set[tuple[str, str]]:
    """(file, test) of every test that a page names."""
    return set(re.findall(r"`(test_\w+\.py)::(test_\w+)`", text))


def test_every_test_that_the_page_names_exists() -> None:
    named = named_tests(PAGE.read_text(encoding="utf-8"))
    assert len(named) > 30
    files = {file: list((ROOT / "tests").rglob(file)) for file, _ in named}
    assert {file: len(found) for file, found in files.items()} == dict.fromkeys(files, 1)
    missing = {f"{file}::{name}" for file, name in named if f"def {name}(" not in files[file][0].read_text("utf-8")}
    assert missing == set()


def test_every_attack_here_is_on_the_page() -> None:
    here = set(re.findall(r"^def (test_\w+)\(device", Path(__file__).read_text("utf-8"), re.MULTILINE))
    here |= set(re.findall(r"^def (test_\w+)\(\n    device", Path(__file__).read_text("utf-8"), re.MULTILINE))
    named = {name for file, name in named_tests(PAGE.read_text(encoding="utf-8")) if file == Path(__file__).name}
    assert len(here) > 30 and here - named - {"test_what_is_not_attacked_is_installed"} == set()


def test_a_test_that_is_not_there_would_be_found() -> None:
    """Negative control."""
    assert named_tests("| x | `test_attacks.py::test_no_such` |") == {("test_attacks.py", "test_no_such")}
    assert "def test_no_such" + "(" not in Path(__file__).read_text("utf-8")
