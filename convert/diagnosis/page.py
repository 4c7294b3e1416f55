"""A diagnosis for people: lines for a terminal, and a page that needs nothing from outside and holds no image."""

from collections.abc import Mapping
from typing import Any

from models.report.html_page import Markup, code, element, facts, image, page, section, table

Record = Mapping[str, Any]
WORST_SHOWN = 8
NOTICE = "Research use only: not for diagnosis."
_WORDS = {"fault": "FAULT", "sound": "NO FAULT"}


def diagnosis_text(record: Record) -> str:
    """Ranked causes, then the layers that add most of the error."""
    lines = [_headline(record)]
    for number, cause in enumerate(_weighty(record), 1):
        lines += [f"{number}. {cause['rule']}{_at(cause)}: {cause['message']}", f"   try: {cause['cure']}"]
    lines += [f"-  {cause['rule']}{_at(cause)}: {cause['message']}" for cause in _remarks(record)]
    lines.append("where the error at the logits comes from (signal over error, dB):")
    lines.append(f"  {'layer':<34}{'share':>8}{'alone':>8}{'adds':>8}{'total':>8}{'codes':>8}{'clipped':>9}")
    for layer in _worst(record):
        lines.append(
            f"  {layer['name'][:33]:<34}{100 * layer['share']:>6.1f} %{layer['output_db']:>8.1f}"
            f"{layer['added_db']:>8.1f}{layer['sqnr_db']:>8.1f}{layer['channel_codes']:>8.0f}"
            f"{100 * _clipped(layer):>7.2f} %"
        )
    lines.append(
        f"{sum(record['seconds'].values()):.0f} s; {record['cpu_seconds']:.0f} s of processor time; peak memory"
        f" {record['peak_rss_mb']} MB"
    )
    return "\n".join(lines)


def diagnosis_page(record: Record, figure: bytes) -> str:
    """The page; `figure` is the PNG of `convert.diagnosis.figure`."""
    verdict = record["verdict"]
    banner = element(
        "div",
        element("div", _WORDS[verdict], css="word"),
        element("p", _headline(record)),
        css=f"banner {'fail' if verdict == 'fault' else 'pass'}",
    )
    body = [
        element("h1", f"Where does the error of {record['int8']['name']} come from?"),
        element(
            "p", f"Float network {record['network']['name']}, {record['images']} images: {record['origin']}", css="sub"
        ),
        element("div", NOTICE, css="notice"),
        banner,
        _causes(record),
        section(
            "Layer by layer",
            image(figure, "png", "Error, share of the error at the logits, and use of the range, by layer"),
            element("p", _LEGEND, css="note"),
            _layers(record),
        ),
        _weights(record),
        _calibration(record),
        _ends(record),
        _provenance(record),
    ]
    return page(f"Diagnosis of {record['int8']['name']}", body)


_LEGEND = (
    "All of a layer's error is what its int8 values differ from the float network's by. A part is inherited with its "
    "inputs; the layer adds the rest: what it gave in int8, against its float operator on that same int8 input. "
    "Alone: only this layer in int8, all behind it in float. A ReLU's clamp is no clipping."
)


def _headline(record: Record) -> str:
    faults = len(list(_weighty(record)))
    said = f"{faults} cause{'' if faults == 1 else 's'} of weight" if faults else "no cause of weight"
    return (
        f"{said}; {100 * record['agreement']:.1f} % of {record['images']} images get the same class from float and"
        f" int8, and the logits agree to {record['logits_db']:.1f} dB"
    )


def _weighty(record: Record) -> list[Record]:
    return [cause for cause in record["causes"] if cause["of_weight"]]


def _remarks(record: Record) -> list[Record]:
    return [cause for cause in record["causes"] if not cause["of_weight"]]


def _at(cause: Record) -> str:
    return f" at {cause['layer']}" if cause["layer"] else ""


def _worst(record: Record) -> list[Record]:
    known = [layer for layer in record["layers"] if layer.get("share")]
    return sorted(known, key=lambda layer: -layer["share"])[:WORST_SHOWN]


def _clipped(layer: Record) -> float:
    return float(layer["clipped_low"] + layer["clipped_high"])


def _causes(record: Record) -> Markup:
    numbered = [
        *((str(k), cause) for k, cause in enumerate(_weighty(record), 1)),
        *(("-", c) for c in _remarks(record)),
    ]
    if not numbered:
        return section("Causes", element("p", "None: nothing here departs from what a sound int8 file shows."))
    rows = [
        [number, c["rule"], c["layer"] or "-", f"{c['evidence']:g} {c['measure']}", c["message"], c["cure"]]
        for number, c in numbered
    ]
    note = element("p", "Numbered: causes of weight, from where a fault begins to where it shows. Others are remarks.")
    return section("Causes", note, table(["", "Cause", "Layer", "Evidence", "What was found", "What to try"], rows))


def _layers(record: Record) -> Markup:
    head = ["Layer", "Operator", "Total dB", "Adds dB", "Median channel dB", "Alone dB", "Share", "Cosine"]
    head += ["Codes used", "Clipped", "Dead", "Lost"]
    rows = [
        [
            layer["name"],
            layer["operator"],
            f"{layer['sqnr_db']:.1f}",
            f"{layer['added_db']:.1f}",
            f"{layer['channel_db']:.1f}",
            f"{layer['output_db']:.1f}" if "output_db" in layer else "-",
            f"{100 * layer['share']:.1f} %" if "share" in layer else "-",
            f"{layer['cosine']:.4f}",
            f"{100 * layer['range_used']:.0f} %",
            f"{100 * _clipped(layer):.2f} %",
            f"{layer['dead_channels']}/{layer['channels']}",
            str(layer["lost_channels"]),
        ]
        for layer in record["layers"]
    ]
    note = "100 dB: no error. Dead: channels with one value on all images. Lost: alive in float, one code in int8."
    return element("div", table(head, rows, range(2, 12)), element("p", note, css="note"))


def _weights(record: Record) -> Markup:
    head = ["Layer", "Scales", "Greatest channel over median", "over the next", "Codes used", "dB", "Bias, steps off"]
    rows = [
        [
            w["name"],
            str(w["scales"]),
            f"{w['outlier']:.1f} (channel {w['loudest']})",
            f"{w['gap']:.2f}",
            f"{100 * w['codes']:.0f} %",
            f"{w['sqnr_db']:.1f}",
            f"{w['bias_steps']:.2f}",
        ]
        for w in record["weights"]
    ]
    return section("Weights", table(head, rows, range(1, 7)))


def _calibration(record: Record) -> Markup:
    found = record["calibration"]
    growth = ", ".join(f"{100 * width:.0f} % after {n}" for n, width in found["growth"])
    extremes = ", ".join(f"{e['image']} ({e['layers']} layers)" for e in found["extremes"]) or "none stands out"
    like = found["looks_like_images"]
    rows: list[tuple[str, str | Markup]] = [
        ("Width of a range by number of images, median layer", growth),
        ("Images that set most extremes", extremes),
        ("Two halves of the images differ by", f"{100 * found['halves']:.1f} % of a range, median layer"),
        ("Values beyond the recorded range", f"{found['touched']} of {found['telling']} layers"),
        ("The recorded ranges look like those of", f"{like} images" if like else "as many images as here, or more"),
        ("Calibration images by the bundle's record", str(found["recorded_images"] or "not known")),
    ]
    head = ["Layer", "Recorded width", "Measured width", "Beyond it by", "One image's width", "Halves differ"]
    layers = [
        [
            one["name"],
            f"{one['recorded']:.4g}",
            f"{one['measured']:.4g}",
            f"{100 * one['exceeds']:.1f} %",
            f"{100 * one['one_image']:.0f} %",
            f"{100 * one['halves']:.1f} %",
        ]
        for one in found["layers"]
    ]
    return section(
        "Calibration", facts(rows), element("h3", "Layers with a range of their own"), table(head, layers, range(1, 6))
    )


def _ends(record: Record) -> Markup:
    ends = record["ends"]
    rows: list[tuple[str, str | Markup]] = [
        ("Pixels 0..255 become, by the contract", "{:.5g}..{:.5g}".format(*ends["given"])),
        ("The input tensor holds", "{:.5g}..{:.5g}".format(*ends["held"])),
        ("Pixel values it clips", f"{100 * ends['clipped']:.2f} %"),
        ("Input codes that pixels reach", f"{100 * ends['codes']:.1f} %"),
        ("Contract of the bundle differs in", ", ".join(ends["differs"]) or "nothing"),
        ("Images whose first class is at the end of the output", f"{100 * ends['at_top']:.1f} %"),
        ("Float's first class over its second", "least {:.1f}, median {:.1f} output steps".format(*ends["margins"])),
        ("Closer than one step", f"{100 * ends['close']:.1f} % of the images"),
        ("Equal in int8", f"{100 * ends['ties']:.1f} % of the images"),
    ]
    return section("Input and output", facts(rows))


def _provenance(record: Record) -> Markup:
    rows: list[tuple[str, str | Markup]] = [
        ("Float network", code(record["network"]["sha256"])),
        ("int8 file", code(record["int8"]["sha256"])),
        ("Operators without a twin", ", ".join(record["unmatched"]) or "none"),
        ("Seconds", ", ".join(f"{phase} {spent:g}" for phase, spent in record["seconds"].items())),
        ("Processor time", f"{record['cpu_seconds']:g} s, imports included"),
        ("Peak memory", f"{record['peak_rss_mb']} MB"),
        ("Versions", ", ".join(f"{name} {version}" for name, version in record["versions"].items())),
    ]
    said = (
        "The int8 file ran without a delegate, to read the values between; with one its outputs may differ by 1 step."
    )
    note = element("p", said, css="note")
    return section("Provenance", facts(rows), note)
