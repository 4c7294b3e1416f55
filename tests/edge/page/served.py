"""A page that is served by the product's own server, in a thread, on a free port of this machine."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from fastapi import FastAPI

from edge.instrument.pipeline.sd_notify import Notifier
from edge.page.serving import PageServer, listen, server


@contextmanager
def served(app: FastAPI) -> Iterator[tuple[str, PageServer]]:
    """(address without a slash at its end, the server), until the block ends."""
    serving = threading.Event()
    with listen("127.0.0.1", 0) as socket:
        page = server(app, Notifier(), serving.set)
        thread = threading.Thread(target=page.run, args=([socket],), daemon=True)
        thread.start()
        assert serving.wait(10)
        try:
            yield f"http://127.0.0.1:{socket.getsockname()[1]}", page
        finally:
            page.should_exit = True
            thread.join(10)
            assert not thread.is_alive()


def until(true: object, seconds: float = 5.0) -> None:
    """Wait until a callable says so."""
    assert callable(true)
    ends = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < ends, "it did not come to pass in time"
        time.sleep(0.01)
