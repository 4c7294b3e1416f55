"""Judges: images judged on several cores, each thread with an interpreter of its own, in the order they were given.

Decoding, preparing and inference all work outside Python's lock, so threads are enough; what they hand back is what one
thread would.
"""

import dataclasses
import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

from edge.inference.classifier import Classifier
from edge.inference.runtime.arithmetic import EDGETPU
from edge.inference.runtime.interpreters import open_interpreter
from edge.serving.serve import Served

MOST_AHEAD = 64  # images that are read, judged or waiting beyond the one that is handed back

Judge = TypeVar("Judge")
Item = TypeVar("Item")
Result = TypeVar("Result")


class Judges(Generic[Judge]):
    """Threads that judge alike.

    Args:
        first: what the first thread judges with. jobs: threads; 1 judges in the caller's.
        another: makes the same for another thread, when that is first needed: an interpreter serves one thread.
    """

    def __init__(self, first: Judge, jobs: int, another: Callable[[Judge], Judge]) -> None:
        self._first, self._jobs, self._another = first, jobs, another
        self._own = threading.local()
        self._free = [first]  # of the first thread that asks
        self._lock = threading.Lock()

    def each(self, items: Iterable[Item], judge: Callable[[Judge, Item], Result]) -> Iterator[Result]:
        """What `judge` says of each item, in their order; at most `MOST_AHEAD` are under way.

        Raises:
            What `judge` raises, once all items before it were handed back.
        """
        if self._jobs == 1:
            for item in items:
                yield judge(self._first, item)
            return
        under_way: deque[Future[Result]] = deque()
        pool = ThreadPoolExecutor(self._jobs, thread_name_prefix="judge")
        try:
            for item in items:
                under_way.append(pool.submit(self._judged, judge, item))
                if len(under_way) >= MOST_AHEAD:
                    yield under_way.popleft().result()
            while under_way:
                yield under_way.popleft().result()
        finally:  # a thread inside an interpreter while Python ends would take the process down with it
            pool.shutdown(cancel_futures=True)

    def _judged(self, judge: Callable[[Judge, Item], Result], item: Item) -> Result:
        if not hasattr(self._own, "judge"):
            with self._lock:  # runtimes are loaded one at a time
                self._own.judge = self._free.pop() if self._free else self._another(self._first)
        return judge(self._own.judge, item)


def again(served: Served) -> Served:
    """The same with another interpreter, for another thread.

    Raises:
        InterpreterUnavailable, ModelFileError: as when the first one was opened.
    """
    first = served.classifier.interpreter
    interpreter = open_interpreter(served.bundle.model, runtime=first.runtime, threads=first.threads)
    return dataclasses.replace(served, classifier=Classifier(served.bundle.contract, interpreter))


def jobs_for(served: Served, items: int) -> int:
    """As many threads as there are cores for, and items; one where an Edge TPU does the work, which serves one."""
    first = served.classifier.interpreter
    if first.kind == EDGETPU:
        return 1
    return max(1, min(len(os.sched_getaffinity(0)) // first.threads, items))
