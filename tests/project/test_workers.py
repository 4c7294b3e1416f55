"""What xdist's workers get: slow files first, and one folder's tests in one worker."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.paths import ROOT
from tests.project.workers import scope_of

QUICK = """
import pytest
@pytest.mark.parametrize("n", range(6))
def test_quick(n, note):
    note("quick")
"""
FILES = {
    "tests/aa/test_quick.py": QUICK,
    "tests/bb/test_slow.py": QUICK.replace("import pytest", "import pytest\npytestmark = pytest.mark.slow"),
    "tests/pi/one/test_one.py": QUICK.replace("quick", "pi"),
    "tests/pi/two/test_two.py": QUICK.replace("quick", "pi"),
    "conftest.py": """
import os
import pytest
from tests_of_the_project.workers import pytest_collection_modifyitems, pytest_xdist_make_scheduler
@pytest.fixture
def note(request):
    def write(text):
        with open(request.config.rootpath / "log", "a") as log:
            print(os.environ["PYTEST_XDIST_WORKER"], request.path.name, file=log)
    return write
""",
    "pytest.ini": "[pytest]\nmarkers = slow\n",
}


def told(folder: Path, dist: str) -> list[list[str]]:
    """Worker and file of every test, in their order."""
    for name, text in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    (folder / "tests_of_the_project").symlink_to(ROOT / "tests" / "project")
    words = [sys.executable, "-m", "pytest", "-q", "-p", "xdist", "-n", "2", "--dist", dist, "-p", "no:cacheprovider"]
    environment = {**os.environ, "PYTHONPATH": str(folder), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    environment.pop("PYTEST_XDIST_WORKER", None)
    done = subprocess.run(
        [*words, "tests"], cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0 and "24 passed" in done.stdout, done.stdout + done.stderr
    return [line.split() for line in (folder / "log").read_text().splitlines()]


def test_one_folder_stays_in_one_worker_and_the_other_begins_with_what_is_slow(tmp_path: Path) -> None:
    lines = told(tmp_path, "loadfile")
    [pi] = {worker for worker, name in lines if name in ("test_one.py", "test_two.py")}
    [other] = {worker for worker, name in lines if name == "test_slow.py"}
    assert pi != other
    assert [name for worker, name in lines if worker == pi][:12] == ["test_one.py"] * 6 + ["test_two.py"] * 6
    assert [name for worker, name in lines if worker == other][:6] == ["test_slow.py"] * 6


def test_another_distribution_is_left_alone(tmp_path: Path) -> None:
    """Negative control: test by test, the folder's tests meet in both workers."""
    assert len({worker for worker, name in told(tmp_path, "load") if name in ("test_one.py", "test_two.py")}) == 2


@pytest.mark.parametrize(
    ("nodeid", "scope"),
    [
        ("tests/pi/booted/test_page.py::test_one[a::b]", "tests/pi"),
        ("tests/pictures/test_a.py::test_one", "tests/pictures/test_a.py"),
        ("tests/edge/test_pi.py::test_one[a::b]", "tests/edge/test_pi.py"),
    ],
)
def test_scopes(nodeid: str, scope: str) -> None:
    assert scope_of(nodeid) == scope
