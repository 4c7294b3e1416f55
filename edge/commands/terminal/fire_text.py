"""What python-fire says, made plain: its help, and the one line about words that make no request."""

import re
from collections.abc import Collection
from typing import Any

_SELF_EVIDENT = (
    "Type: str",
    "Type: tuple[str, ...]",
    "Type: bool",
    "Default: ''",
    "Default: ()",
    "Default: False",
)  # values are text, switches off


def plain_help(text: str) -> str:
    """Fire's help less what is not ours: hints, one-letter options (refused here), groups, underscores."""
    lines = text[text.index("NAME") :].rstrip().splitlines() if "NAME" in text else text.splitlines()
    if "GROUPS" in lines:
        del lines[lines.index("GROUPS") :]
    plain = []
    for line, following in zip(lines, [*lines[1:], ""], strict=True):
        if line.strip() in _SELF_EVIDENT:
            continue
        line = re.sub(r"^( +Default: )'(.*)'$", r"\1\2", line)  # noqa: PLW2901
        option = re.match(r"    (?:-\w, )?--(\w+)(=\w+)( \(required\))?$", line)
        value = "" if option is None or following.strip() == "Type: bool" else option[2].rstrip("_") + (option[3] or "")
        name = option[1].rstrip("_").replace("_", "-") if option else ""
        plain.append(f"    --{name}{value}" if option else line.replace("GROUP | ", ""))
    return "\n".join(plain).rstrip()


def usage_line(name: str, stop: Any, positional: Collection[str]) -> str:
    """Why words make no request, of the exception that Fire ends with; `positional`: what needs no option before it."""
    message = str(stop.trace.elements[-1].ErrorAsStr()).splitlines()[0]
    missing = re.findall(r"required argument: (\w+)", message) or re.findall(r"'(\w+)'", message.partition("flags:")[2])
    extra = re.match(r"Could not consume arg: (.*)", message)
    if missing:
        wanted = [m.upper() if m in positional else "--" + m.rstrip("_").replace("_", "-") for m in sorted(missing)]
        message = f"{name} needs {' and '.join(wanted)}"
    elif extra:
        message = f"{name} does not take the word {extra[1]}"
    return f"{message} (see `{name} --help`)"
