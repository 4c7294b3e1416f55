"""The tables and examples of docs/reference/instrument-socket.md, made from the messages themselves.

`python -m tests.edge.instrument.socket.messages_reference --write` writes them into the page.
"""

import inspect
import re
import sys
from typing import Any, Literal, Union, get_args, get_origin

import msgspec
from msgspec import NODEFAULT, Meta, Struct

from edge.instrument.socket import messages, protocol
from edge.instrument.socket.commands import ARGUMENTS
from edge.instrument.socket.messages import Command, FromClient, FromInstrument
from tests.edge.instrument.socket.samples import COMMANDS, SAMPLES
from tests.paths import ROOT

PAGE = ROOT / "docs" / "reference" / "instrument-socket.md"
BEGIN, END = "<!-- messages: begin -->", "<!-- messages: end -->"


def text() -> str:
    """What stands between BEGIN and END."""
    parts = ["## From the instrument", *(_message(each) for each in get_args(FromInstrument))]
    parts += ["## From a client", *(_message(each) for each in get_args(FromClient))]
    parts += ["## Problems", _problems()]
    parts += ["## Arguments of commands", *(_command(name) for name in ARGUMENTS)]
    return "\n\n".join(parts)


def _problems() -> str:
    """The names that an answer's `error` has, from the comments beside them."""
    source = inspect.getsource(messages).partition("Problem = Literal[")[2].partition("\n]")[0]
    rows = re.findall(r'"(\w+)",(?:  # (.*))?', source)
    assert [name for name, _ in rows] == list(messages.PROBLEMS)
    return "\n".join(["| `error` | meaning |", "|---|---|", *(f"| `{name}` | {said} |" for name, said in rows)])


def _message(kind: type[Struct]) -> str:
    tag = kind.__struct_config__.tag
    example = SAMPLES[kind]
    assert isinstance(example, kind), kind
    shown = protocol.encode(example).decode()
    nested = [getattr(messages, name) for name in ("Bundle", "Rule", "GateLimits")] if tag == "hello" else []
    tables = [_table(kind), *(f"`{each.__name__}`: {_prose(each)}\n\n{_table(each)}" for each in nested)]
    return "\n\n".join([f"### {tag}", _prose(kind), *tables, f"```text\n{shown}```"])


def _command(name: str) -> str:
    kind, example = ARGUMENTS[name], COMMANDS[name]
    assert isinstance(example, Command) and example.name == name
    return "\n\n".join(
        [f"### command {name}", _prose(kind), _table(kind), f"```text\n{protocol.encode(example).decode()}```"]
    )


def _table(kind: type[Struct]) -> str:
    meanings = _meanings(kind)
    rows = ["| name | type | default | meaning |", "|---|---|---|---|"]
    for each in msgspec.structs.fields(kind):
        default = "" if each.default is NODEFAULT else f"`{msgspec.json.encode(each.default).decode()}`"
        default = default if each.default_factory is NODEFAULT else "`{}`"
        rows.append(f"| `{each.encode_name}` | {_type(each.type)} | {default} | {meanings[each.encode_name]} |")
    return "\n".join(rows if len(rows) > 2 else ["It has no other name."])


def _meanings(kind: type[Struct]) -> dict[str, str]:
    """What the docstring says of each field; KeyError in the caller where it says nothing of one."""
    attributes = " ".join((kind.__doc__ or "").partition("Attributes:")[2].split())
    names = "|".join(kind.__struct_fields__)
    parts = re.split(rf"(?:^|(?<=[.:?] ))({names}): ", attributes)
    return dict(zip(parts[1::2], (part.strip() for part in parts[2::2]), strict=True))


def _type(kind: Any) -> str:  # noqa: PLR0911  (a table)
    origin, inner = get_origin(kind), get_args(kind)
    if hasattr(kind, "__metadata__"):
        meta: Meta = kind.__metadata__[0]
        said = meta.description or _bounds(meta)
        return _type(kind.__origin__) + (f", {said}" if said else "")
    if origin is Literal:
        return " or ".join(f'`"{each}"`' for each in inner)
    if origin is Union or type(kind).__name__ == "UnionType":
        return " or ".join(_type(each) for each in inner)
    if origin is tuple:
        return f"list of {_type(inner[0])}" if Ellipsis in inner else f"list of {len(inner)}: {_type(inner[0])}"
    if origin is dict:
        return "object" if inner[1] is Any else f"object of {_type(inner[1])}"
    if isinstance(kind, type) and issubclass(kind, Struct):
        return f"`{kind.__name__}`"
    return {str: "text", int: "whole number", float: "number", bool: "true or false", type(None): "null"}[kind]


def _bounds(meta: Meta) -> str:
    said = f"{meta.ge}" + (f"..{meta.le}" if meta.le is not None else " or more") if meta.ge is not None else ""
    return said or (f"at most {meta.max_length} characters in one line" if meta.max_length else "")


def _prose(kind: type) -> str:
    return inspect.cleandoc((kind.__doc__ or "").partition("Attributes:")[0]).strip()


def main(words: list[str]) -> int:
    """Write the page's part, or say whether it is current."""
    old = PAGE.read_text(encoding="utf-8")
    head, _, rest = old.partition(BEGIN)
    new = f"{head}{BEGIN}\n{text()}\n{END}{rest.partition(END)[2]}"
    if "--write" in words:
        PAGE.write_text(new, encoding="utf-8")
    return int(new != old and "--write" not in words)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
