"""A provisioned machine that is switched on, for the tests of one module; each leaves a serving instrument behind."""

from collections.abc import Callable, Iterator

import pytest

from tests.pi.booted.instrument import UNIT
from tests.pi.debian import CannotBuildError
from tests.pi.machine import Booted, over, wait_until
from tests.pi.offline_folder import offline_folder
from tests.pi.provisioned import binds, provisioned
from tests.pi.signed_bundles import signed_bundles


@pytest.fixture(scope="module", params=["trixie", "bookworm"])
def microscope(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Booted]:
    """A provisioned amd64 machine of one release, switched on."""
    try:
        installed = provisioned(request.param, "amd64")
        lent = binds(offline_folder(request.param, "amd64"), signed_bundles())
        with over(installed.lower, tmp_path_factory.mktemp(request.param)) as root, root.booted(lent) as machine:
            yield machine
    except CannotBuildError as error:
        pytest.skip(f"no booted machine: {error}")


@pytest.fixture
def serving(microscope: Booted) -> Booted:
    """The machine once its service is up."""
    wait_until(lambda: microscope.shown(UNIT, "ActiveState") == "active")
    return microscope


@pytest.fixture
def with_unit(serving: Booted) -> Iterator[Callable[..., None]]:
    """Lines for the service's unit, until the test is over."""
    folder = f"/run/systemd/system/{UNIT}.d"

    def restart(*words: str) -> None:
        serving.run("systemctl", "daemon-reload")
        serving.run("systemctl", "restart", *words, UNIT)

    def use(lines: str, *words: str) -> None:
        serving.run("mkdir", "-p", folder)
        serving.run("bash", "-c", f"printf '%s' \"$1\" > {folder}/test.conf", "-", lines)
        restart(*words)

    yield use
    serving.run("rm", "-rf", folder)
    restart()
