"""Machines without keys and machines with them: which bundles run, shipped ones included."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from convert.signing.keys import PrivateKey
from edge.bundle import bundle, policy
from edge.bundle import trusted as trusted_module
from edge.bundle.trusted import TrustedKeys
from edge.errors import SignatureError
from edge.settings.trusted_keys import machine_keys, machine_profile
from tests.edge.bundle.loading import refused
from tests.project import shipped_manifests
from tests.signing import SHIPPED, resealed, trusted, trusted_folder

OTHER = SHIPPED.parent / "mobilenet_v2-int8"


def test_a_machine_without_keys_runs_what_ships_and_nothing_else(
    signed: Path, tmp_path: Path, officer: PrivateKey
) -> None:
    none = TrustedKeys(tmp_path / "trusted")
    assert bundle.load(SHIPPED, trust=none).signed is None
    assert bundle.load(OTHER, trust=none).provenance.signed_by == "unsigned"
    link = tmp_path / "link"
    link.symlink_to(SHIPPED)
    assert bundle.load(link, trust=none).digest == bundle.load(SHIPPED, trust=none).digest
    copy = Path(shutil.copytree(SHIPPED, tmp_path / "copies" / SHIPPED.name))
    for other in (copy, signed):
        refused(other, none, r"holds no trusted key.*the signer's public key into .*trusted, or say --allow-unsigned")
        assert bundle.load(other, trust=none, allow_unsigned=True).signed is None
    link.unlink()
    link.symlink_to(copy)
    refused(link, none, "holds no trusted key")


def test_a_folder_beside_the_shipped_ones_by_its_name_alone_is_not_shipped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither a path that leads through the installation, nor one that only looks like it."""
    (tmp_path / "models" / "bundles").mkdir(parents=True)
    copy = Path(shutil.copytree(SHIPPED, tmp_path / "models" / "bundles" / SHIPPED.name))
    monkeypatch.chdir(tmp_path)
    through = SHIPPED / ".." / ".." / ".." / os.path.relpath(copy, SHIPPED.parents[2])
    assert through.resolve() == copy
    for path in (copy, Path("models/bundles") / SHIPPED.name, through):
        refused(path, TrustedKeys(tmp_path), "holds no trusted key")


def test_a_machine_with_keys_runs_no_unsigned_bundle_not_even_its_own(officer: PrivateKey) -> None:
    refused(SHIPPED, trusted(officer), "not signed")
    allowed = bundle.load(SHIPPED, trust=trusted(officer), allow_unsigned=True)
    assert str(allowed.provenance) == "custom_cnn-int8, unsigned"


def test_allowing_unsigned_keeps_the_signature_of_what_is_signed(signed: Path, officer: PrivateKey) -> None:
    assert bundle.load(signed, trust=trusted(officer), allow_unsigned=True).signed is not None


def test_where_nothing_ships_nothing_is_exempt(signed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(policy, "INSTALLATION", Path("/none"))
    refused(SHIPPED, TrustedKeys(Path("/none")), "holds no trusted key")


def test_a_foreign_models_folder_on_the_import_path_ships_nothing(tmp_path: Path) -> None:
    """Negative control: the shipped bundle runs in the same place."""
    foreign = Path(shutil.copytree(SHIPPED, tmp_path / "models" / "bundles" / "evil-int8"))
    (tmp_path / "models" / "__init__.py").touch()
    code = (
        "import importlib.util, sys\n"
        "from pathlib import Path\n"
        "sys.path.insert(0, str(Path.cwd()))\n"
        "assert Path.cwd() in Path(importlib.util.find_spec('models').origin).parents\n"
        "from edge.bundle import bundle\n"
        "from edge.bundle.trusted import TrustedKeys\n"
        "print(bundle.load(Path(sys.argv[1]), trust=TrustedKeys(Path.cwd() / 'trusted')).name)\n"
    )
    for path, answer in ((SHIPPED, "custom_cnn-int8\n"), (foreign, ""), (tmp_path / "models/bundles/evil-int8", "")):
        words = [sys.executable, "-c", code, str(path)]
        environment = {**os.environ, "PYTHONPATH": "."}
        done = subprocess.run(words, check=False, cwd=tmp_path, env=environment, capture_output=True, text=True)
        assert done.stdout == answer, done.stderr
        assert ("holds no trusted key" in done.stderr) is (answer == "")


@pytest.fixture
def installation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the folder of shipped bundles, as another installation has it."""
    folder = Path(shutil.copytree(SHIPPED.parent, tmp_path / "site" / "models" / "bundles"))
    monkeypatch.setattr(policy, "INSTALLATION", tmp_path / "site")
    return folder


def test_a_shipped_bundle_that_was_altered_is_shipped_no_more(installation: Path, tmp_path: Path) -> None:
    none = TrustedKeys(tmp_path / "trusted")
    assert bundle.load(installation / SHIPPED.name, trust=none).signed is None
    resealed(installation / SHIPPED.name, report__html=b"another page, and a manifest that agrees")
    refused(installation / SHIPPED.name, none, "holds no trusted key")
    added = Path(shutil.copytree(OTHER, installation / "evil-int8"))
    refused(added, none, "holds no trusted key")
    shutil.rmtree(installation / SHIPPED.name)
    shutil.copytree(OTHER, installation / SHIPPED.name)
    refused(installation / SHIPPED.name, none, "holds no trusted key")  # one shipped bundle under another's name
    assert bundle.load(installation / OTHER.name, trust=none).signed is None


def test_the_manifests_that_are_pinned_are_those_of_the_bundles_that_ship(monkeypatch: pytest.MonkeyPatch) -> None:
    assert policy.SHIPPED_MANIFESTS.read_text(encoding="utf-8") == shipped_manifests.current()
    monkeypatch.setattr(shipped_manifests, "bundles", lambda: SHIPPED)  # negative control: a folder without bundles
    assert policy.SHIPPED_MANIFESTS.read_text(encoding="utf-8") != shipped_manifests.current()


@pytest.fixture
def profile(tmp_path: Path, keys: Path) -> Iterator[Path]:
    folder = trusted_folder(tmp_path / "trusted", keys, "officer")
    path = tmp_path / "edge.toml"
    path.write_text(f'[trust]\nkeys = "{folder}"\n')
    yield path


def test_the_profile_names_the_folder(profile: Path, officer: PrivateKey, monkeypatch: pytest.MonkeyPatch) -> None:
    named = machine_profile(profile)
    assert named is not None and list(TrustedKeys.load(named.trust.keys).keys) == [officer.public.id]
    monkeypatch.setattr("edge.settings.trusted_keys.DEFAULT_PROFILE", profile)
    assert list(machine_keys().keys) == [officer.public.id]
    monkeypatch.setattr("edge.settings.trusted_keys.DEFAULT_PROFILE", profile.parent / "none.toml")
    monkeypatch.setattr(trusted_module, "DEFAULT_KEYS", profile.parent / "none")
    assert not machine_keys().held


def test_who_forgets_to_name_the_keys_gets_the_machine_s(
    signed: Path, monkeypatch: pytest.MonkeyPatch, profile: Path
) -> None:
    monkeypatch.setattr("edge.settings.trusted_keys.DEFAULT_PROFILE", profile)
    assert bundle.load(signed, trust=machine_keys()).signed is not None
    with pytest.raises(SignatureError, match="not signed"):
        bundle.load(SHIPPED, trust=machine_keys())
