"""The effect of one layer's own error on the answer: that layer in int8, everything behind it in float.

The float file is cut behind the layer; its rest runs on float values, once as they are and once with the error that the
layer adds to its own output. The change of the logits is the layer's effect. Effects are compared with the logits' own
size, both less their mean over the classes, which a softmax does not see.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np

from convert.diagnosis.activations import INPUT, Doubles, decibel
from convert.diagnosis.record import LayerRecord
from convert.tflite.matching import Floats, Matched, Parts


@dataclass(frozen=True)
class Effect:
    """Of one layer alone.

    Attributes:
        output_db: signal-to-noise ratio of the logits when only this layer errs, dB.
        share: part of the sum over all layers of the error power at the logits, 0..1.
        flipped: images, of `images`, that get another class.

    >>> Effect("head", output_db=31.2, share=0.4, flipped=1, images=6).share
    0.4
    """

    name: str
    output_db: float
    share: float
    flipped: int
    images: int

    def added_to(self, layer: LayerRecord) -> LayerRecord:
        """The record of the layer with its effect."""
        figures = {"output_db": round(self.output_db, 2), "share": round(self.share, 4), "flipped": self.flipped}
        return msgspec.structs.replace(layer, **figures)


Seen = tuple[dict[int, Floats], dict[int, Floats]]


def effects(
    plain_model: bytes, matched: Matched, seen: Sequence[Seen], progress: Callable[[], None] = lambda: None
) -> tuple[Effect, ...]:
    """The effect of the input and of every layer up to the logits.

    Args:
        plain_model: the float TFLite file.
        matched: it and its int8 twin.
        seen: what `Activations.see` gave for some images.
        progress: called once a layer.

    Returns:
        In the order in which they run; none for a layer whose rest of the network needs a tensor without a twin.
    """
    parts, last = Parts(plain_model), matched.logits
    wanted = [_centred(values[last.output.index]) for values, _ in seen]
    signal = sum(float((w * w).sum()) for w in wanted)
    found: list[tuple[str, float, int]] = []
    cuts = [(INPUT, -1, matched.plain.inputs[0].index), *((p.name, p.place, p.output.index) for p in matched.pairs)]
    for name, place, index in cuts:
        if place > last.place:
            break
        progress()
        rest = None if place == last.place else parts.cut(place + 1, last.place)
        if rest is not None and any(i not in seen[0][0] for i in rest.inputs):
            continue
        noise, flipped = 0.0, 0
        for (values, added), want in zip(seen, wanted, strict=True):
            disturbed = values[index] + added[index]
            answer = disturbed if rest is None else rest.run({**values, index: disturbed})
            change = _centred(answer) - want
            noise += float((change * change).sum())
            flipped += int(np.argmax(_centred(answer)) != np.argmax(want))
        found.append((name, noise, flipped))
    total = sum(noise for _, noise, _ in found) or 1.0
    return tuple(Effect(n, decibel(signal, noise), noise / total, f, len(seen)) for n, noise, f in found)


def _centred(logits: Floats) -> Doubles:
    """Less their mean over the classes; one logit is a sigmoid's, of the second of two classes."""
    values = logits.reshape(-1).astype(np.float64)
    if len(values) == 1:
        values = np.array([0.0, values[0]])
    return np.asarray(values - values.mean())
