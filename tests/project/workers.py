"""How pytest-xdist's workers share the tests: by file, long ones first, and everything of `tests/pi` in one worker.

A file's tests share fixtures and stay together. The machines of `tests/pi` mount, register programs of another
processor and answer on fixed ports, so that two of them never stand at once; the other worker goes on meanwhile.
"""

import signal
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from xdist.scheduler import LoadFileScheduling

ONE_WORKER = "tests/pi"


def scope_of(nodeid: str) -> str:
    """What stays in one worker: a file, or a whole folder."""
    return ONE_WORKER if nodeid.startswith(f"{ONE_WORKER}/") else nodeid.partition("::")[0]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> "LoadFileScheduling | None":
    """The scheduler of `--dist loadfile`, with these scopes in the order of collection."""
    if config.getvalue("dist") != "loadfile":
        return None
    from xdist.scheduler import LoadFileScheduling

    class Scheduling(LoadFileScheduling):  # type: ignore[misc]
        def _split_scope(self, nodeid: str) -> str:
            return scope_of(nodeid)

    config.option.loadscopereorder = False  # which begins with the files of many tests, so quick ones
    return Scheduling(config, log)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The one folder, then files with slow tests: the last ones are short, and all workers end together."""
    slow = {scope_of(item.nodeid) for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: (scope_of(item.nodeid) != ONE_WORKER, scope_of(item.nodeid) not in slow))


def pytest_sessionstart() -> None:
    """Interrupts end the programs that tests start: those begun in a shell's background ignore them otherwise."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
