"""The rules of a diagnosis: from what was measured to what is wrong, where, how much, and what to try.

A cause *of weight* is a fault. The others are for the record: true, and harmless as far as can be seen. Causes are
ranked from where a fault begins to where it only shows: what the network is fed, weights that are not the network's,
weights that spoil a range, ranges of too few images, a single clipped range, formats, the noise of a layer. A wrong
input spoils every range behind it, and never the reverse. Within a rule the greater evidence comes first.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from convert.calibration.lint import FEWEST
from convert.diagnosis.activations import INPUT, Layer
from convert.diagnosis.io_tensors import Ends
from convert.diagnosis.layer_effects import Effect
from convert.diagnosis.ranges import EXCEEDS, Calibrated
from convert.diagnosis.record import CauseRecord
from convert.diagnosis.weights import STRAY, Weights
from convert.errors import PreprocessingError

RULES = (
    "input-scale",
    "feeding",
    "weights-differ",
    "bias",
    "weight-outlier",
    "calibration",
    "saturated-activation",
    "per-channel-dense",
    "layer-noise",
    "output-step",
    "disagreement",
    "unmatched",
    "equalized",
    "dead-channels",
)
PIXELS_CLIPPED = 0.02  # of the pixel values; the two ends alone, cut by calibration on duller images, are below 1 %
CODES_REACHED = 0.8  # of the input's codes; full contracts reach all, 0..1 in place of -1..1 reaches half
# A channel's weights over the median's, and over the next channel's: a cliff, or a step that is far up. The shipped
# MobileNetV2's depthwise layers go up to 35 times the median, where folded batch norms make a slope (3.2 to the next).
OUTLIER, GAP = 20.0, 5.0
FAR_OUTLIER, STEP = 60.0, 2.0
LIKE_FEW = 4  # images whose ranges the recorded ones resemble
NEARLY_ALL = 0.75  # of the layers
CLIPPED_DB = 25.0  # of the error from clipping alone: a sound file is rounded more than that
CLIPPED_SHARE = 0.001  # of a layer's values
BIAS_STEPS = 16.0  # of the layer's output; rounding gives less than one, bias correction a few
HURT_DB = 15.0  # of the logits: below it classes change
LARGE_SHARE = 0.3  # of the error at the logits, from one layer
TIES, AGREEMENT = 0.1, 0.95
DIFFERENT_WEIGHTS = 0.9  # correlation
NAMED = 3  # layers in a sentence


@dataclass(frozen=True)
class Cause:
    """One thing found.

    Attributes:
        rule: one of `RULES`. layer: the layer it is about; "" where it is about the whole.
        of_weight: a fault, not a remark.
        evidence: the number that shows it, and what that number is, in words. score: for the order within a rule.
        message: what is wrong, one or two sentences. cure: what to try.

    >>> Cause("bias", "head", True, 21.04, "output steps from float", "...", "...").to_record().evidence
    21.04
    """

    rule: str
    layer: str
    of_weight: bool
    evidence: float
    measure: str
    message: str
    cure: str
    score: float = 0.0

    def to_record(self) -> CauseRecord:
        """As `diagnosis.json` holds it."""
        evidence = float(f"{self.evidence:.4g}")
        return CauseRecord(
            self.rule, self.layer or None, self.of_weight, evidence, self.measure, self.message, self.cure
        )


@dataclass(frozen=True, eq=False)
class Findings:
    """Everything that was measured, for the rules to look at.

    `equalized`: layers with factors an output channel that their readers undo; both sides are compared in these
    scales.
    """

    layers: tuple[Layer, ...]
    effects: tuple[Effect, ...]
    weights: tuple[Weights, ...]
    calibrated: Calibrated
    ends: Ends
    feeding: PreprocessingError | None
    logits: str
    unmatched: tuple[str, ...]
    equalized: tuple[str, ...]
    images: int

    def layer(self, name: str) -> Layer:
        """By its name."""
        return next(layer for layer in self.layers if layer.name == name)


def causes(found: Findings) -> tuple[Cause, ...]:
    """All causes, those of weight first, ranked."""
    said = [cause for rule in _LOOKS for cause in rule(found)]
    if not any(c.of_weight for c in said) and found.ends.agreement < AGREEMENT:
        said.append(_disagreement(found))
    return tuple(sorted(said, key=lambda c: (not c.of_weight, RULES.index(c.rule), -c.score, c.layer)))


def _input(found: Findings) -> Iterator[Cause]:
    ends = found.ends
    given, held = _span(ends.given), _span(ends.held)
    cure = (
        "convert again with the contract the network was trained with:"
        " convert quantize --int8 MODEL --contract FILE --data DIR"
    )
    if ends.differs:
        said = f"the bundle's contract is not the network's: {', '.join(ends.differs)} differ"
        yield Cause("input-scale", INPUT, True, len(ends.differs), "fields that differ", said, cure, 3)
    if ends.clipped > PIXELS_CLIPPED:
        said = (
            f"the contract gives {given}, the input tensor holds {held}: {_percent(ends.clipped)} of the pixel values"
        )
        said += " are clipped"
        yield Cause("input-scale", INPUT, True, ends.clipped, "pixel values clipped", said, cure, 2)
    if ends.codes < CODES_REACHED:
        said = f"the contract gives {given}, the input tensor holds {held}: its pixels reach {_percent(ends.codes)} of"
        said += " the codes, as a contract does that is not the one the file was converted with"
        yield Cause("input-scale", INPUT, True, ends.codes, "input codes reached", said, cure, 1)


def _feeding(found: Findings) -> Iterator[Cause]:
    if found.feeding is not None:
        cure = "correct contract.json beside the model (or name one with --contract), then convert again:"
        cure += " convert quantize --int8 MODEL --contract FILE --data DIR"
        said = f"the float network itself is fed otherwise than it was trained: {found.feeding}"
        yield Cause("feeding", INPUT, True, 1.0, "rule of convert parity that refuses it", said, cure)


def _in_other_scales(found: Findings) -> Iterator[Cause]:
    if not found.equalized:
        return
    said = f"the file was equalized: the channels of {len(found.equalized)} layers ({_names(found.equalized)})"
    said += " have factors that the layers behind undo. The float network is compared in the same scales"
    cure = "nothing: this is what convert quantize --search does, among else"
    yield Cause("equalized", "", False, len(found.equalized), "layers", said, cure)


def _foreign_weights(found: Findings) -> Iterator[Cause]:
    strayed = _strayed(found)
    if _equalized(found):
        said = (
            f"weights of {len(strayed)} layers ({_names(w.name for w in strayed)}) differ from the float network's by"
        )
        said += " factors a channel, and the logits agree: as equalization leaves them; these layers cannot be compared"
        yield Cause(
            "equalized", "", False, len(strayed), "layers", said, "nothing, if the file was equalized on purpose"
        )
        return
    cure = "the file was not made from this network as it is: convert it again with convert quantize --int8 MODEL,"
    cure += " or give the network it was made from"
    for w in strayed:
        if w.strays:
            said = f"channel {w.strayed} of {w.name} is {w.factor:.3g} times the float network's"
            said += f" ({w.strays} of {w.channels} channels differ by more than {STRAY} times)"
            yield Cause("weights-differ", w.name, True, w.factor, "times the float weights", said, cure, abs(w.factor))
        else:
            said = f"the weights of {w.name} are not the float network's: correlation {w.likeness:.3f}"
            yield Cause("weights-differ", w.name, True, w.likeness, "correlation with float weights", said, cure)


def _strayed(found: Findings) -> list[Weights]:
    return [w for w in found.weights if w.strays or w.likeness < DIFFERENT_WEIGHTS]


def _equalized(found: Findings) -> bool:
    """Layers differ and the logits do not: what one layer was multiplied by, the next was divided by. Then no float
    range says anything about an int8 one."""
    return len(_strayed(found)) > 1 and found.layer(found.logits).sqnr_db >= HURT_DB


def _biases(found: Findings) -> Iterator[Cause]:
    for w in found.weights:
        if _equalized(found) and not w.bias_ends:
            continue
        if w.bias_ends:
            said = f"{w.bias_ends} of the {w.channels} biases of {w.name} are at the end of int32"
            cure = (
                "the layer's input or weight scale is too small for its bias: retrain with weight decay on its weights,"
            )
            cure += " or remove channels whose weights are nearly 0"
            yield Cause("bias", w.name, True, w.bias_ends, "biases at the end of int32", said, cure, 1e9)
        elif w.bias_steps > BIAS_STEPS:
            said = f"a bias of {w.name} is {w.bias_steps:.0f} output steps from the float network's"
            cure = "convert it again: convert quantize --int8 MODEL"
            yield Cause("bias", w.name, True, w.bias_steps, "output steps from float", said, cure, w.bias_steps)


def _outliers(found: Findings) -> Iterator[Cause]:
    for w in found.weights:
        if not _stands_out(w) or _equalized(found):  # then the int8 file has it no more
            continue
        layer = found.layer(w.name)
        said = f"channel {w.loudest} of {w.name} has weights {w.outlier:.0f} times the median channel's"
        said += f" ({w.gap:.0f} times the next)"
        if w.scales == 1:
            said += (
                f"; one scale serves all channels, so the median channel's weights reach {w.channel_codes:.0f} of 127"
            )
        if layer.spread >= GAP:
            said += "; its activations set the range, and the median channel is left"
            said += f" {layer.channel_codes:.0f} of 256 codes"
        cure = (
            "convert quantize --int8 MODEL --data DIR --search, which brings channels to like ranges across layers; and"
        )
        cure += " look at this channel in training: a batch norm with a tiny variance, a learning rate too high, no"
        cure += " weight decay"
        yield Cause("weight-outlier", w.name, True, w.outlier, "times the median channel", said, cure, w.outlier)


def _stands_out(w: Weights) -> bool:
    return (w.outlier >= OUTLIER and w.gap >= GAP) or (w.outlier >= FAR_OUTLIER and w.gap >= STEP)


def _calibration(found: Findings) -> Iterator[Cause]:
    c = found.calibrated
    many = c.exceeded >= 1 and c.touched >= max(2, NEARLY_ALL * c.telling)
    alike = not _equalized(found) and c.looks_like is not None and c.looks_like <= LIKE_FEW and many
    few = c.recorded_images is not None and c.recorded_images < FEWEST
    if not (alike or few):
        return
    parts = []
    if few:
        parts.append(f"the bundle was calibrated on {_images(c.recorded_images or 0)}")
    if c.touched:
        worst = max(c.ranges, key=lambda r: r.exceeds)
        said = f"values reach beyond the recorded range on {c.touched} of {c.telling} layers, by up to"
        said += f" {_percent(worst.exceeds)} of its width ({worst.name})"
        parts.append(said + (f"; the ranges look like those of {_images(c.looks_like)}" if c.looks_like else ""))
    cure = "convert quantize --int8 MODEL --data DIR --calibration-images 200 --method k-center"
    evidence = c.looks_like if alike and c.looks_like else c.recorded_images or 0
    layer = max(c.ranges, key=lambda r: r.exceeds).name if c.ranges else ""
    yield Cause("calibration", layer, True, evidence, "images the ranges resemble", "; ".join(parts), cure, 1)


def _saturated(found: Findings) -> Iterator[Cause]:
    ranges = {one.name: one for one in found.calibrated.ranges}
    for layer in () if _equalized(found) else found.layers:
        share = sum(layer.clipped)
        if not layer.own_range or layer.operator == "INPUT" or layer.clipped_db > CLIPPED_DB or share < CLIPPED_SHARE:
            continue
        one = ranges[layer.name]
        said = f"{layer.name} holds {_span(layer.held)}; on these images it reaches"
        said += (
            f" {_span((float(layer.lows.min()), float(layer.highs.max())))}, and {_percent(share)} of its values are"
        )
        said += f" clipped ({layer.clipped_db:.0f} dB by that alone)"
        if one.any_image > EXCEEDS:
            said += "; every single image reaches beyond it, so images like these cannot have set the range"
        cure = "convert quantize --int8 MODEL --data DIR with images like these among the calibration images"
        cure += " (--calibration-images, --method k-center); look the set over with"
        cure += " convert calibration SOURCE --model MODEL"
        yield Cause("saturated-activation", layer.name, True, share, "of values clipped", said, cure, -layer.clipped_db)


def _dense(found: Findings) -> Iterator[Cause]:
    for w in found.weights:
        if w.operator == "FULLY_CONNECTED" and w.scales > 1:
            said = f"{w.name} (FULLY_CONNECTED) has {w.scales} weight scales, one a channel: older runtimes and Coral's"
            said += " compiler load it without a word and compute it wrongly, though this machine may not"
            cure = "convert quantize --int8 MODEL quantizes dense layers per tensor (the converter's flag"
            cure += " _experimental_disable_per_channel_quantization_for_dense_layers);"
            cure += " convert inspect FILE --edgetpu shows the layer"
            yield Cause("per-channel-dense", w.name, True, w.scales, "weight scales", said, cure, w.scales)


def _noise(found: Findings) -> Iterator[Cause]:
    """A layer that alone spoils the answer, whatever the reason; only where the answer is spoiled."""
    hurt = found.layer(found.logits).sqnr_db < HURT_DB
    for effect in found.effects:
        if not hurt or effect.share < LARGE_SHARE or effect.output_db > HURT_DB:
            continue
        layer = found.layer(effect.name)
        said = f"{effect.name} alone in int8 leaves the logits {effect.output_db:.0f} dB and changes the class of"
        said += (
            f" {effect.flipped} of {effect.images} images; {_percent(effect.share)} of the error at the logits is its."
        )
        if layer.channel_codes < 16 and layer.spread >= GAP:
            said += f" Its median channel has {layer.channel_codes:.0f} of 256 codes: one channel (number"
            said += f" {layer.loudest}, {layer.spread:.0f} times the median) sets the range."
        cure = "convert quantize --int8 MODEL --data DIR --search; if that does not help, retrain with a bounded"
        cure += " activation (ReLU6) or weight decay at this layer"
        yield Cause(
            "layer-noise", effect.name, True, effect.share, "of the error at the logits", said, cure, effect.share
        )


def _output(found: Findings) -> Iterator[Cause]:
    ends = found.ends
    if ends.ties > 0:
        said = f"int8's first two classes are equal on {_percent(ends.ties)} of the images; float's lie less than one"
        said += f" output step ({ends.output_step:.2g}) apart on {_percent(ends.close)}"
        cure = "these images are undecided in float as well: abstain on them (models calibrate MODEL --data DIR)"
        yield Cause("output-step", "output", ends.ties > TIES, ends.ties, "images with equal first two", said, cure)


def _remarks(found: Findings) -> Iterator[Cause]:
    if found.unmatched:
        said = (
            f"{len(found.unmatched)} operators of the int8 file have no twin in the float network and were not compared"
        )
        said += f" ({_names(found.unmatched)})"
        yield Cause("unmatched", "", False, len(found.unmatched), "operators", said, "convert inspect FILE lists them")
    dead = [layer for layer in found.layers if layer.dead and layer.operator != "SOFTMAX"]
    if dead:
        worst = max(dead, key=lambda layer: layer.dead / layer.channels)
        said = f"{worst.dead} of {worst.channels} channels of {worst.name} never change on these images (layers with"
        said += f" such: {len(dead)}). They cost time and no accuracy"
        yield Cause("dead-channels", worst.name, False, worst.dead, "dead channels", said, "a narrower layer would do")


def _disagreement(found: Findings) -> Cause:
    ordered = sorted(found.effects, key=lambda e: -e.share)[:NAMED]
    said = f"float and int8 agree on {_percent(found.ends.agreement)} of {found.images} images, and no rule names one"
    said += " layer; most of the error at the logits comes from "
    said += ", ".join(f"{e.name} ({_percent(e.share)})" for e in ordered)
    cure = (
        "convert parity MODEL INT8 --data DIR judges on all images; convert quantize --int8 MODEL --data DIR --search"
    )
    cure += " looks for a file that agrees more"
    name = ordered[0].name if ordered else ""
    return Cause("disagreement", name, True, found.ends.agreement, "agreement", said, cure)


_LOOKS = (
    _input,
    _feeding,
    _in_other_scales,
    _foreign_weights,
    _biases,
    _outliers,
    _calibration,
    _saturated,
    _dense,
    _noise,
    _output,
    _remarks,
)


def _span(ends: tuple[float, float]) -> str:
    return f"{ends[0]:.4g}..{ends[1]:.4g}"


def _images(count: int) -> str:
    return f"{count} image{'' if count == 1 else 's'}"


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"


def _names(names: Sequence[str] | Iterator[str] | Any) -> str:
    every = list(names)
    more = f" and {len(every) - NAMED} more" if len(every) > NAMED else ""
    return ", ".join(every[:NAMED]) + more
