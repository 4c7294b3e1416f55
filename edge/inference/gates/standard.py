"""The gates that a device asks."""

from edge.inference.gates.base import Gates
from edge.inference.gates.quality import quality_gates


def standard_gates() -> Gates:
    """All gates: those on quality, and last the one on frames unlike the training images.

    Last since a spoilt frame is unlike them too, and what spoilt it is the better reason.
    """
    from edge.inference.gates.novelty import shipped_novelty

    return quality_gates().and_then(shipped_novelty())
