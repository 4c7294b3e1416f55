"""`convert publish`: a repository that devices can trust, changed by whoever holds the keys and by nobody else."""

import hashlib
import json
import os
import shutil
import stat
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tuf.api.metadata import Metadata, Root, Timestamp

from convert.cli import COMMANDS
from edge.commands.command_line import main
from edge.errors import UpdateError
from edge.serving.update.candidates import Candidate
from edge.serving.update.repository import Repository, offered
from edge.serving.update.rollout import position
from tests.edge.serving.update.server import serving
from tests.edge.serving.update.world import NAME, World, world_of, write_bundle


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with world_of(1, 2) as made:
        yield made


class Publisher:
    """Somebody with a repository and its keys, at a terminal."""

    def __init__(self, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.repo, self.keys, self.capsys = root / "repo", root / "keys", capsys

    def publish(self, *words: object, keys: Path | None = None) -> tuple[int, str, str]:
        spelled = ["publish", str(self.repo), "--keys", str(keys or self.keys), *map(str, words)]
        code = main("convert", COMMANDS, spelled)
        said = self.capsys.readouterr()
        return code, said.out, said.err

    def record(self, *words: object, keys: Path | None = None) -> dict[str, Any]:
        code, out, err = self.publish(*words, "--json", keys=keys)
        assert code == 0, err
        found: dict[str, Any] = json.loads(out)
        return found

    @property
    def first_root(self) -> bytes:
        return (self.repo / "metadata" / "1.root.json").read_bytes()

    def seen_by(self, cache: Path, device: str = "lab-3", root: bytes | None = None) -> list[Candidate]:
        """What a device that was given the first root finds."""
        with serving(self.repo) as server:
            return offered(Repository(server.url, root or self.first_root, cache), device, NAME)


@pytest.fixture
def publisher(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Publisher:
    made = Publisher(tmp_path, capsys)
    assert made.publish("--init")[0] == 0
    return made


def test_a_new_repository(publisher: Publisher, tmp_path: Path) -> None:
    names = {path.name for path in publisher.keys.glob("*.key")}
    assert names == {"root-1.key", "root-2.key", "root-3.key", "targets.key", "snapshot.key", "timestamp.key"}
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in publisher.keys.glob("*.key"))
    root = Metadata[Root].from_bytes(publisher.first_root)
    assert root.signed.consistent_snapshot and root.signed.roles["root"].threshold == 2
    assert len(root.signatures) == 3
    ids = [set(role.keyids) for role in root.signed.roles.values()]
    assert sum(map(len, ids)) == len(set.union(*ids)) == 6  # a key for each role, none for two
    assert publisher.seen_by(tmp_path / "cache") == []


def test_a_release_and_its_rollout(publisher: Publisher, world: World, tmp_path: Path) -> None:
    where = position("lab-3", f"{NAME}/1")
    assert 0 < where < 99
    publisher.record("--bundle", world.offer(1), "--rollout", where)
    assert "stands at" in publisher.seen_by(tmp_path / "c")[0].later
    told = publisher.record("--release", f"{NAME}/1", "--rollout", where + 1)
    assert told["releases"] == [{**told["releases"][0], "name": NAME, "version": 1, "rollout": where + 1}]
    [candidate] = publisher.seen_by(tmp_path / "c")
    assert candidate.later == ""
    files = {path.name: path.read_bytes() for path in world.offer(1).iterdir()}
    with serving(publisher.repo) as server:
        [candidate] = offered(Repository(server.url, publisher.first_root, tmp_path / "c"), "lab-3", NAME)
        assert dict(candidate.files()) == files
    publisher.record("--release", f"{NAME}/1", "--rollout", 0)  # a halt
    assert publisher.seen_by(tmp_path / "c")[0].later


def test_releases_add_up(publisher: Publisher, world: World, tmp_path: Path) -> None:
    publisher.record("--bundle", world.offer(1))
    told = publisher.record("--bundle", world.offer(2))
    assert [each["version"] for each in told["releases"]] == [1, 2]
    assert told["versions"] == {"root": 1, "targets": 3, "snapshot": 3, "timestamp": 3}
    assert len(publisher.seen_by(tmp_path / "c")) == 2


def test_a_refresh_needs_the_online_keys_alone(publisher: Publisher, world: World, tmp_path: Path) -> None:
    publisher.record("--bundle", world.offer(1))
    online = tmp_path / "online"
    online.mkdir()
    for name in ("snapshot", "timestamp"):
        shutil.copy(publisher.keys / f"{name}.key", online)
    told = publisher.record("--refresh", "--expires", "7", keys=online)
    assert told["versions"] == {"root": 1, "targets": 2, "snapshot": 3, "timestamp": 3}
    expires = datetime.fromisoformat(told["expires"]["timestamp"])
    assert timedelta(days=6) < expires - datetime.now(UTC) < timedelta(days=8)
    assert len(publisher.seen_by(tmp_path / "c")) == 1
    code, _, err = publisher.publish("--bundle", world.offer(2), keys=online)  # the control
    assert code == 2 and "no targets key" in err


def test_new_keys_for_every_role(publisher: Publisher, world: World, tmp_path: Path) -> None:
    """A device with the first root follows; the old keys are worth nothing afterwards."""
    publisher.record("--bundle", world.offer(1))
    publisher.seen_by(tmp_path / "c")
    other = Publisher(tmp_path / "other", publisher.capsys)
    other.publish("--init")
    told = publisher.record("--rotate", other.keys)
    assert told["versions"]["root"] == 2
    assert len(publisher.seen_by(tmp_path / "c")) == 1
    code, _, err = publisher.publish("--refresh")
    assert code == 2 and "not the snapshot keys" in err
    publisher.keys = other.keys
    publisher.record("--bundle", world.offer(2))
    assert len(publisher.seen_by(tmp_path / "c")) == 2
    assert len(publisher.seen_by(tmp_path / "fresh")) == 2


def test_one_role_s_key(publisher: Publisher, world: World, tmp_path: Path) -> None:
    new = tmp_path / "new"
    assert main("convert", COMMANDS, ["keygen", "timestamp-2027", "--to", str(new)]) == 0
    publisher.capsys.readouterr()
    publisher.record("--rotate", new)
    (publisher.keys / "timestamp.key").unlink()
    shutil.copy(new / "timestamp-2027.key", publisher.keys)
    publisher.record("--bundle", world.offer(1))
    assert len(publisher.seen_by(tmp_path / "c")) == 1


def test_a_root_by_too_few_is_refused(publisher: Publisher, tmp_path: Path) -> None:
    """One of three root keys, and two have to sign: neither here nor by a device."""
    stolen = tmp_path / "stolen"
    stolen.mkdir()
    for name in ("root-1", "targets", "snapshot", "timestamp"):
        shutil.copy(publisher.keys / f"{name}.key", stolen)
    other = Publisher(tmp_path / "other", publisher.capsys)
    other.publish("--init")
    code, _, err = publisher.publish("--rotate", other.keys, keys=stolen)
    assert code == 2 and "not the root keys" in err
    assert not (publisher.repo / "metadata" / "2.root.json").exists()
    forged = Metadata[Root].from_bytes((other.repo / "metadata" / "1.root.json").read_bytes())
    forged.signed.version = 2
    (publisher.repo / "metadata" / "2.root.json").write_bytes(forged.to_bytes())
    with pytest.raises(UpdateError, match="root was signed by"):
        publisher.seen_by(tmp_path / "c")


@pytest.mark.parametrize("role", ["root", "targets", "snapshot", "timestamp"])
def test_nothing_is_signed_on_top_of_what_was_tampered_with(
    publisher: Publisher, world: World, tmp_path: Path, role: str
) -> None:
    """A web server that was broken into shall not get its changes signed by the next release."""
    publisher.record("--bundle", world.offer(1))
    path = max((publisher.repo / "metadata").glob(f"*{role}.json"))
    record = json.loads(path.read_text())
    record["signed"]["expires"] = "2099-01-01T00:00:00Z"
    path.write_text(json.dumps(record))
    code, _, err = publisher.publish("--bundle", world.offer(2))
    assert code == 2 and "not a repository as its root says" in err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "give one of --init"),
        (["--init", "--refresh"], "got --init and --refresh"),
        (["--refresh", "--rollout", "5"], "--rollout goes with"),
        (["--release", f"{NAME}/1"], "--release needs --rollout"),
        (["--release", "1", "--rollout", "5"], "must be NAME/VERSION"),
        (["--release", f"{NAME}/x", "--rollout", "5"], "must be a whole number"),
        (["--release", f"{NAME}/7", "--rollout", "5"], "offers no custom_cnn-int8/7; there is none"),
        (["--bundle", "/nowhere"], "/nowhere"),
        (["--bundle", "/nowhere", "--rollout", "101"], "--rollout must be at most 100"),
        (["--refresh", "--expires", "0"], "--expires must be at least 1"),
        (["--init", "--roots", "2", "--threshold", "3"], "--threshold must be at most 2"),
        (["--init"], "exists; a key is never overwritten"),
        (["--rotate", "/nowhere"], "no such folder of keys"),
    ],
)
def test_wrong_words_are_one_line(publisher: Publisher, words: list[str], said: str) -> None:
    before = sorted((path.name, path.read_bytes()) for path in (publisher.repo / "metadata").iterdir())
    code, out, err = publisher.publish(*words)
    assert (code, out) == (2, "")
    assert said in err.splitlines()[-1] and "Traceback" not in err
    assert sorted((path.name, path.read_bytes()) for path in (publisher.repo / "metadata").iterdir()) == before


def test_bundles_that_are_not_published(publisher: Publisher, world: World, tmp_path: Path) -> None:
    unsigned = write_bundle(tmp_path / "unsigned", "of nobody")
    code, _, err = publisher.publish("--bundle", unsigned)
    assert code == 2 and "is not signed" in err
    shutil.copy(world.offer(1) / "manifest.sig", unsigned)
    code, _, err = publisher.publish("--bundle", unsigned)
    assert code == 2 and "signature is of another bundle" in err
    publisher.record("--bundle", world.offer(2))
    for version in (1, 2):
        code, _, err = publisher.publish("--bundle", world.offer(version))
        assert code == 2 and "version 2 is offered already" in err


def test_a_bundle_that_stored_fields_speak_against_is_not_offered(
    publisher: Publisher, world: World, tmp_path: Path
) -> None:
    bundle, file = world.offer(1), tmp_path / "rejudge.json"
    digest = hashlib.sha256((bundle / "manifest.json").read_bytes()).hexdigest()
    passed = {"bundle": NAME, "bundle_digest": digest, "verdict": "pass", "checks": []}
    lost = {"name": "answers lost", "verdict": "fail", "why": "answers lost: 9 of 10"}
    for code, record, says in (
        (1, {**passed, "verdict": "fail", "checks": [lost]}, "answers lost: 9 of 10"),
        (1, {**passed, "verdict": "inconclusive"}, "says 'inconclusive'"),
        (2, {**passed, "bundle_digest": "0" * 64}, "is of another bundle"),
        (2, {"verdict": "pass"}, "not what `edge rejudge --out` writes"),
    ):
        file.write_text(json.dumps(record))
        done = publisher.publish("--bundle", bundle, "--rejudged", file)
        assert done[0] == code and says in done[2]
        assert publisher.seen_by(tmp_path / "cache") == []
    assert publisher.publish("--bundle", bundle, "--rejudged", tmp_path / "nothing.json")[0] == 2
    assert publisher.publish("--refresh", "--rejudged", file)[0] == 2
    file.write_text(json.dumps(passed))
    publisher.record("--bundle", bundle, "--rollout", 10, "--rejudged", file)
    assert len(publisher.seen_by(tmp_path / "cache")) == 1


def test_encrypted_keys(tmp_path: Path, world: World, capsys: pytest.CaptureFixture[str]) -> None:
    words = tmp_path / "words"
    words.write_text("a long passphrase\n")
    words.chmod(0o600)
    publisher = Publisher(tmp_path, capsys)
    publisher.record("--init", "--passphrase-file", words)
    assert b"ENCRYPTED" in (publisher.keys / "root-1.key").read_bytes()
    code, _, err = publisher.publish("--bundle", world.offer(1))
    assert code != 0 and "--passphrase-file" in err
    publisher.record("--bundle", world.offer(1), "--passphrase-file", words)


@pytest.mark.slow
def test_a_reader_meets_the_old_repository_or_the_new_one(
    publisher: Publisher, world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cut off before each file that is written: what stands there is whole for a device, and can be published to."""
    import convert.signing.repository as module

    publisher.record("--bundle", world.offer(1))
    whole, seen = module.write_whole, set()
    for number in range(40):
        left = iter(range(number))

        def cut(path: Path, data: bytes, left: Iterator[int] = left) -> None:
            if next(left, None) is None:
                raise OSError(28, "No space left on device", str(path))
            whole(path, data)

        copy = Publisher(tmp_path, publisher.capsys)
        copy.repo = tmp_path / f"repo {number}"
        shutil.copytree(publisher.repo, copy.repo)
        monkeypatch.setattr(module, "write_whole", cut)
        code, _, _ = copy.publish("--bundle", world.offer(2))
        monkeypatch.setattr(module, "write_whole", whole)
        seen.add(len(copy.seen_by(tmp_path / f"cache {number}")))
        if code == 0:
            break
        assert code == 4
        assert copy.publish("--bundle", world.offer(2))[0] == 0
    assert code == 0 and number > 8 and seen == {1, 2}


def test_the_timestamp_is_written_last(publisher: Publisher, world: World) -> None:
    publisher.record("--bundle", world.offer(1))
    metadata = publisher.repo / "metadata"
    written = {path: path.stat().st_mtime_ns for path in metadata.iterdir()}
    assert max(written, key=lambda path: written[path]).name == "timestamp.json"
    stamp = Metadata[Timestamp].from_file(str(metadata / "timestamp.json"))
    assert stamp.signed.snapshot_meta.version == 2
    assert not [name for _, _, names in os.walk(publisher.repo) for name in names if name.endswith(".partial")]
