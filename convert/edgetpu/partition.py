"""The partition of a graph into parts that run on one side each.

TensorFlow Lite cuts a graph for any delegate in the same way, and Coral's compiler is one: a part takes every
operator of its kind that has its inputs ready, then a part of the other kind follows, until none is left. By
default the compiler keeps the first part that is the Edge TPU's and leaves everything after it to the CPU.

Source: https://github.com/tensorflow/tensorflow/blob/v2.5.0/tensorflow/lite/graph_info.cc (the behaviour; linear
time here, since a hostile file may have many operators), https://coral.ai/docs/edgetpu/compiler/
"""

import heapq
from collections import defaultdict
from collections.abc import Sequence


def parts(reads: Sequence[Sequence[int]], writes: Sequence[Sequence[int]], kinds: Sequence[bool]) -> list[list[int]]:
    """Cut a graph.

    Args:
        reads, writes: tensor indices of each operator, in the order in which they run.
        kinds: True for an operator that may go to the Edge TPU.

    Returns:
        The parts in their order, each the positions of operators of one kind, ascending. Operators whose inputs nobody
        writes in time (a cycle) are in none.
    """
    written = {tensor for outputs in writes for tensor in outputs}
    waiting = [len({tensor for tensor in inputs if tensor in written}) for inputs in reads]
    readers = defaultdict(list)
    for position, inputs in enumerate(reads):
        for tensor in {tensor for tensor in inputs if tensor in written}:
            readers[tensor].append(position)
    ready: dict[bool, list[int]] = {True: [], False: []}
    for position, count in enumerate(waiting):
        if not count:
            heapq.heappush(ready[kinds[position]], position)
    found: list[list[int]] = []
    known: set[int] = set()
    while ready[True] or ready[False]:
        kind = not ready[False] or (bool(ready[True]) and ready[True][0] < ready[False][0])
        part = []
        while ready[kind]:
            position = heapq.heappop(ready[kind])
            part.append(position)
            for tensor in writes[position]:
                if tensor in known:
                    continue
                known.add(tensor)
                for reader in readers[tensor]:
                    waiting[reader] -= 1
                    if not waiting[reader]:
                        heapq.heappush(ready[kinds[reader]], reader)
        found.append(sorted(part))
    return found
