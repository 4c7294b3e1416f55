"""`python -m tests.mutation [PATH ...]`: run the mutants of modules, by default of all in `modules.toml`.

Prints how many were noticed, and every mutant that lived and is not accepted in `survivors.toml`. Exit 1 when fewer
than 90 % of a module's mutants are noticed, one lives that nobody accepted, or one is accepted that does not live.
"""

import argparse
import sys
import tomllib
from pathlib import Path

from tests.mutation.run import Result, Target, judged

HERE = Path(__file__).parent
LEAST = 0.90  # of a module's mutants


def targets() -> list[Target]:
    """As `modules.toml` lists them."""
    found = tomllib.loads((HERE / "modules.toml").read_text(encoding="utf-8"))
    return [Target(module, tuple(tests)) for module, tests in found["modules"].items()]


def accepted() -> dict[str, dict[str, str]]:
    """Module -> mutant -> why it may live."""
    return tomllib.loads((HERE / "survivors.toml").read_text(encoding="utf-8"))


def told(result: Result, reasons: dict[str, str], whole: bool) -> tuple[bool, str]:
    """Whether a module's tests are good enough, and a line that says so."""
    new = [name for name in result.survivors if name not in reasons]
    stale = [name for name in reasons if name not in result.survivors] if whole else []
    noticed = result.total - len(result.survivors)
    share = noticed / max(1, result.total)
    lines = [f"{result.module}: {noticed} of {result.total} noticed ({100 * share:.1f} %), {len(reasons)} accepted"]
    lines += [f"  lives: {name}" for name in new] + [f"  accepted, but does not live: {name}" for name in stale]
    return share >= LEAST and not new and not stale, "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description=__doc__.splitlines()[0])
    parser.add_argument("modules", nargs="*", metavar="PATH", help="of modules; all in modules.toml when not given")
    parser.add_argument("--only", default="", help="only mutants with this text in the name")
    options = parser.parse_args()
    chosen = [target for target in targets() if not options.modules or target.module in options.modules]
    if not chosen:
        parser.error(f"no such module in modules.toml: {', '.join(options.modules)}")
    good = True
    for target in chosen:
        fine, text = told(judged(target, options.only), accepted().get(target.module, {}), not options.only)
        print(text, flush=True)
        good = good and fine
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
