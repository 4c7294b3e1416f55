"""docs/reference/edgetpu-rules.md from the rules in the code: `python -m tests.convert.edgetpu.rules_page --write`.

Without --write it says whether the page is current, and how to make it so.
"""

import sys

from convert.edgetpu.limits import (
    FEW_DENSE_OUTPUTS,
    KNOWN_CUSTOM,
    LARGE_CONSTANT_BYTES,
    NEWEST_VERSION,
    ON_CHIP_BYTES,
    REFUSED_FROM,
    SUPPORTED,
    SURELY_FIT_TOGETHER_BYTES,
    SURELY_FITS_BYTES,
    WIDE_DENSE_INPUTS,
)
from convert.edgetpu.rules import COMPILER, RULES, SURE, Effect
from tests.paths import ROOT
from tests.project.pages.paragraphs import wrapped

PAGE = ROOT / "docs" / "reference" / "edgetpu-rules.md"
HEAD = f"""# What Coral's compiler does, rule by rule

What `convert inspect --edgetpu` goes by, put here from `convert/edgetpu/rules.toml` by
`python -m tests.convert.edgetpu.rules_page --write`. The rules describe the compiler's last release, {COMPILER},
which is closed source. Neither it nor an Edge TPU was at hand: they come from Coral's documentation, from compiled
files that Coral published, and from public logs. `convert compile --edgetpu` asks the compiler itself and says where it
disagrees. Why it is done like this: [decision 0020](../decisions/0020-edgetpu.md).

| how sure | what that means |
|---|---|
"""
GROUPS: dict[Effect, str] = {
    "refused": "Refused: nothing is compiled, or nothing that may be used",
    "cpu": "Left to the CPU",
    "note": "Said, and no more",
}


def page() -> str:
    """The whole page."""
    parts = [HEAD + "".join(f"| {name} | {meaning} |\n" for name, meaning in SURE.items())]
    for effect, title in GROUPS.items():
        rows = [rule for rule in RULES.values() if rule.effect == effect]
        table = "| rule | what | cure | how sure | known from |\n|---|---|---|---|---|\n"
        for rule in rows:
            sources = ", ".join(_link(n, source) for n, source in enumerate(rule.sources, 1))
            table += f"| `{rule.name}` | {rule.says} | {rule.cure or '-'} | {rule.sure} | {sources} |\n"
        parts.append(f"## {title}\n\n{table}")
    parts.append(_lists())
    return "\n".join(parts)


def _link(number: int, source: str) -> str:
    return f"[{number}]({source})" if source.startswith("https://") else source


def _lists() -> str:
    newest: dict[int, list[str]] = {}
    for name, version in NEWEST_VERSION.items():
        newest.setdefault(version, []).append(name)
    lines = [
        "## Lists",
        "",
        wrapped(f"**Operators that may be mapped**: {', '.join(sorted(SUPPORTED))}."),
        "",
        f"**Custom operators that stay behind the compiled part**: {', '.join(sorted(KNOWN_CUSTOM))}.",
        "",
        wrapped(
            "**The newest version that the compiler can know**; a log shows the next one refused for "
            + ", ".join(sorted(REFUSED_FROM))
            + ", the others are an upper bound:"
        ),
        "",
        "| version | operators |",
        "|---|---|",
        *(f"| {version} | {', '.join(sorted(names))} |" for version, names in sorted(newest.items(), reverse=True)),
        "",
        wrapped(
            f"**On the chip**: about {ON_CHIP_BYTES:,} bytes for parameters, instructions and activations together. Up "
            f"to {SURELY_FITS_BYTES:,} bytes of parameters are taken to stay there, but for a few KiB, where they and "
            f"twice the largest activation are {SURELY_FIT_TOGETHER_BYTES:,} bytes at most, no constant is larger than "
            f"{LARGE_CONSTANT_BYTES:,}, no dense layer leads from more than {WIDE_DENSE_INPUTS:,} inputs to "
            f"{FEW_DENSE_OUTPUTS} outputs or less, and there is no PRELU. In logs, 6.5 MiB found room in one model and "
            "1.9 of 4.4 MiB in another."
        ),
        "",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    if "--write" in sys.argv[1:]:
        PAGE.write_text(page(), encoding="utf-8")
    elif not PAGE.is_file() or PAGE.read_text(encoding="utf-8") != page():
        sys.exit(f"{PAGE.name} is not what the rules say: python -m tests.convert.edgetpu.rules_page --write")
