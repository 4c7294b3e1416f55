"""The gates that a device asks."""

from edge.gates import quality_gates
from edge.gates_base import Gates


def standard_gates() -> Gates:
    """All gates: those on quality, and last the one on frames unlike the training images (`edge.novelty`).

    Last since a spoilt frame is unlike them too, and what spoilt it is the better reason.
    """
    from edge.novelty import shipped_novelty

    return quality_gates().and_then(shipped_novelty())
