"""Turns of pytest-xdist's workers: a test marked `alone` runs while no other worker runs one.

For what measures time or owns something of the machine. Without `-n` there is one worker, and nothing to wait for.
"""

import fcntl
import os
from collections.abc import Generator, Iterator
from contextlib import ExitStack, contextmanager

import pytest


@contextmanager
def locked(path: os.PathLike[str], how: int) -> Iterator[None]:
    held = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(held, how)
        yield
    finally:
        os.close(held)


@contextmanager
def turn(config: pytest.Config, *, alone: bool) -> Iterator[None]:
    """Everyone queues for the machine, so that one who wants it alone is not passed by those who share it.

    The locks are on the session's folder and its settings, which every worker has, and nothing is written.
    """
    assert config.inipath is not None
    with ExitStack() as held:
        with locked(config.rootpath, fcntl.LOCK_EX):
            held.enter_context(locked(config.inipath, fcntl.LOCK_EX if alone else fcntl.LOCK_SH))
        yield


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    if "PYTEST_XDIST_WORKER" not in os.environ:
        return (yield)
    with turn(item.config, alone=item.get_closest_marker("alone") is not None):
        return (yield)
