"""install.sh in stock root file systems: one command to the first stored verdict, a second one that changes nothing."""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.pi.binfmt import programs_of_aarch64
from tests.pi.debian import CannotBuildError
from tests.pi.machine import Root, over
from tests.pi.offline_folder import PICAMERA2, Offline, offline_folder
from tests.pi.provisioned import CASES, TIMES, Provisioned, binds, command, listing, page, provisioned
from tests.pi.signed_bundles import signed_bundles
from tests.pi.stock_root import RELEASES, stock

pytestmark = [pytest.mark.slow, pytest.mark.timeout(2400)]
HERE = Path(__file__).resolve().parent
AS_SERVICE = ("setpriv", "--reuid=leukoscope", "--regid=leukoscope", "--init-groups", "--no-new-privs")
EDGE = "/opt/leukoscope/venv/bin/edge"


# An arm64 root is made under emulation: most of ten minutes.
@pytest.fixture(
    scope="module",
    params=[pytest.param(c, id="-".join(c), marks=[pytest.mark.nightly] if "arm64" in c else []) for c in CASES],
)
def installed(request: pytest.FixtureRequest) -> Provisioned:
    """A root of one release and architecture, installed twice."""
    try:
        return provisioned(*request.param)
    except CannotBuildError as error:
        pytest.skip(f"not provisioned: {error}")


@pytest.fixture
def root(installed: Provisioned, tmp_path: Path) -> Iterator[Root]:
    """The installed root, its programs fit to run."""
    with ExitStack() as stack:
        if installed.architecture == "arm64":
            stack.enter_context(programs_of_aarch64())
        yield stack.enter_context(over(installed.lower, tmp_path))


def test_one_command_leads_from_a_stock_root_to_a_stored_verdict(installed: Provisioned) -> None:
    said = installed.facts["said"].splitlines()
    [verdict] = [line for line in said if line.startswith("  stored: ")]
    assert any(f": {label} (research use only)" in verdict for label in ("Benign", "Early", "Pre", "Pro"))
    assert "error" not in installed.facts["complained"]
    assert said[0].startswith("Leukoscope on Debian") and installed.architecture in said[0]


def test_the_same_command_again_changes_nothing(installed: Provisioned) -> None:
    assert installed.facts["code_again"] == 0
    assert installed.facts["changed"] == {}
    assert installed.facts["listed"] > 5_000  # and all of the system was looked at
    assert installed.facts["said_again"].splitlines()[-1] == "nothing changed: all of it was so already"


def test_a_change_would_have_been_seen(installed: Provisioned, root: Root) -> None:
    before = listing(root.path)
    (root.path / "etc/leukoscope/edge.toml").chmod(0o666)
    assert [path for path, told in listing(root.path).items() if before[path] != told] == ["etc/leukoscope/edge.toml"]


def test_what_was_installed_is_the_locked_python_of_the_release(installed: Provisioned, root: Root) -> None:
    script = (
        "import json, sys, platform, numpy, edge; print(json.dumps([sys.version, platform.machine(), edge.__file__]))"
    )
    version, machine, where = json.loads(root.run("/opt/leukoscope/venv/bin/python", "-I", "-c", script).stdout)
    assert version.startswith(RELEASES[installed.release] + ".")
    assert machine == {"arm64": "aarch64", "amd64": "x86_64"}[installed.architecture]
    assert where.startswith("/opt/leukoscope/venv")


def test_it_classifies_through_the_real_picamera2(installed: Provisioned, root: Root) -> None:
    """As the unit runs it, but for the sandbox: its user, its environment, no network; libcamera's virtual camera."""
    if (installed.release, installed.architecture) != PICAMERA2:
        pytest.skip(f"no picamera2 for {installed.release} on {installed.architecture} in Debian's archive or on PyPI")
    from tests.pi.build_root import synthetic_smear

    synthetic_smear(root.path)
    environment = ("env", "PYTHONNOUSERSITE=1", "PYTHONPATH=/media/shim", "LIBCAMERA_LOG_LEVELS=*:ERROR", "HOME=/tmp")
    run = (EDGE, "run", "--camera", "picamera2:0", "--frames", "4", "--every", "--json", "--store", "/tmp/record")
    python = ("/opt/leukoscope/venv/bin/python", "/media/shim/virtual_camera.py")
    done = root.run(*AS_SERVICE, *environment, *python, *run, binds=[f"{HERE / 'shim'}:/media/shim"], timeout_s=600)
    judged = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert len([each for each in judged if each.get("label") or each.get("reason")]) == 4
    assert not any(each["simulated"] for each in judged)


@pytest.fixture(scope="module")
def offline() -> Offline:
    try:
        stock("trixie", "amd64")
        return offline_folder("trixie", "amd64")
    except CannotBuildError as error:
        pytest.skip(f"no stock root: {error}")


@pytest.fixture
def bare(offline: Offline, tmp_path: Path) -> Iterator[Root]:
    """A stock root that a test may spoil."""
    with over([stock("trixie", "amd64")], tmp_path) as root:
        yield root


def of_32_bits(root: Path) -> None:
    status = root / "var/lib/dpkg/status"
    status.write_text(status.read_text().replace("Architecture: amd64", "Architecture: armhf"))


def with_another_python(root: Path) -> None:
    (root / "usr/bin/python3").unlink()
    (root / "usr/bin/python3").symlink_to("python3.12")


def of_another_release(root: Path) -> None:
    told = root / "usr/lib/os-release"
    told.write_text(told.read_text().replace("trixie", "forky"))


@pytest.mark.parametrize(
    ("spoil", "code", "why"),
    [(of_32_bits, 4, "32-bit"), (with_another_python, 4, "3.12"), (of_another_release, 4, "forky")],
)
def test_what_is_not_supported_is_refused_in_one_line_and_nothing_changes(
    bare: Root, offline: Offline, spoil: Callable[[Path], None], code: int, why: str
) -> None:
    spoil(bare.path)
    before = listing(bare.layer / "upper")  # what lies over the stock root
    refused = bare.run(*command(offline), binds=binds(offline, signed_bundles()), code=code)
    assert refused.stderr.startswith("error: ") and len(refused.stderr.strip().splitlines()) == 1
    assert why in refused.stderr
    assert refused.stdout == ""
    assert listing(bare.layer / "upper") == before


def test_a_folder_with_one_altered_package_is_refused_and_nothing_changes(
    bare: Root, offline: Offline, tmp_path: Path
) -> None:
    with over([offline.path], tmp_path / "folder") as folder:
        wheel = next(folder.path.glob("wheels/*.whl"))
        wheel.write_bytes(wheel.read_bytes()[:-1] + b"x")
        before = listing(bare.layer / "upper")
        altered = Offline(folder.path, offline.digest)
        done = bare.run(*command(altered), binds=binds(altered, signed_bundles()), code=1)
        assert "not as it was collected" in done.stderr
        assert listing(bare.layer / "upper") == before


def test_the_page_of_times_is_that_of_its_file() -> None:
    assert TIMES.with_suffix(".md").read_text() == page(json.loads(TIMES.read_text()))
