"""The protocol of the instrument's socket: strict both ways, bounded, and as its page says."""

import json
import string
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.errors import ProtocolError
from edge.instrument.socket.commands import ARGUMENTS, arguments
from edge.instrument.socket.messages import (
    VERSION,
    Command,
    FromClient,
    FromInstrument,
    Message,
    Preview,
    Ready,
    Watch,
)
from edge.instrument.socket.protocol import (
    LARGEST_PAYLOAD,
    LONGEST_FROM_CLIENT,
    Lines,
    encode,
    from_client,
    from_instrument,
)
from tests.edge.instrument.socket import messages_reference
from tests.edge.instrument.socket.samples import COMMANDS, ID, SAMPLES

OF_CLIENT = [SAMPLES[kind] for kind in get_args(FromClient)]
OF_INSTRUMENT = [SAMPLES[kind] for kind in get_args(FromInstrument)]


def altered(message: Message, **changes: Any) -> bytes:
    return json.dumps({**json.loads(encode(message)), **changes}).encode() + b"\n"


@pytest.mark.parametrize("message", OF_CLIENT, ids=lambda each: type(each).__name__)
def test_a_clients_message_comes_back_and_an_unknown_name_is_refused(message: Message) -> None:
    assert from_client(encode(message)) == message
    with pytest.raises(ProtocolError, match="unknown field"):
        from_client(altered(message, more=1))
    with pytest.raises(ProtocolError):
        from_instrument(encode(message))


@pytest.mark.parametrize("message", OF_INSTRUMENT, ids=lambda each: type(each).__name__)
def test_an_instruments_message_comes_back_and_an_unknown_name_is_refused(message: Message) -> None:
    assert from_instrument(encode(message)) == message
    with pytest.raises(ProtocolError, match="unknown field"):
        from_instrument(altered(message, more=1))
    with pytest.raises(ProtocolError):
        from_client(encode(message))


@pytest.mark.parametrize("message", [*OF_CLIENT, *OF_INSTRUMENT], ids=lambda each: type(each).__name__)
def test_a_value_of_another_type_is_refused(message: Message) -> None:
    read = from_client if isinstance(message, get_args(FromClient)) else from_instrument
    for name in message.__struct_fields__:
        with pytest.raises(ProtocolError):
            read(altered(message, **{name: [{}]}))


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b"", "not plain JSON"),
        (b"\n", "not plain JSON"),
        (b"[]\n", "must be a JSON object"),
        (b'{"kind":"ready","kind":"ready"}\n', "a key is given twice"),
        (b'{"kind":"nothing"}\n', "nothing"),
        (b"{}\n", "kind"),
        (b'{"kind":"watch","version":2,"previews":true,"rows":3}\n', "version must be 1; got 2"),
        (b'{"kind":"watch","version":true}\n', "version must be 1; got True"),
        (b'{"kind":"watch","events":1}\n', "Expected `bool`"),
        (b'{"kind":"ready"\xff}\n', "not plain JSON"),
        (b"[" * 30000 + b"\n", "not plain JSON"),
        (b'{"kind":"watch","version":NaN}\n', "not plain JSON"),
        (b" " * LONGEST_FROM_CLIENT + b"\n", "at most 65536 bytes"),
    ],
)
def test_what_is_no_message_is_refused_in_one_line(line: bytes, said: str) -> None:
    with pytest.raises(ProtocolError, match=said) as refused:
        from_client(line)
    assert str(refused.value).isprintable()
    assert len(str(refused.value)) < 400


def test_a_hello_of_another_version_is_told_by_its_version_alone() -> None:
    with pytest.raises(ProtocolError, match="version must be 1; got 9"):
        from_instrument(b'{"kind":"hello","version":9,"altogether":"different"}\n')


@pytest.mark.parametrize("name", ARGUMENTS)
def test_arguments_are_checked_by_command(name: str) -> None:
    command = COMMANDS[name]
    arguments(command)
    with pytest.raises(ProtocolError, match=f"{name}: .*unknown field"):
        arguments(Command(id=ID, name=command.name, by="anna", arguments={**command.arguments, "more": 1}))
    for key in command.arguments:
        with pytest.raises(ProtocolError, match=f"{name}: Expected"):
            arguments(Command(id=ID, name=command.name, by="anna", arguments={**command.arguments, key: [1]}))


@pytest.mark.parametrize("slide", ["", ".hidden", "../up", "a/b", "a b", "x" * 65, "s\n", "é"])
def test_a_slide_that_is_no_name_is_refused(slide: str) -> None:
    with pytest.raises(ProtocolError, match=r"open: .*at `\$\.slide`|open: "):
        arguments(Command(id=ID, name="open", by="anna", arguments={"slide": slide}))


@pytest.mark.parametrize(
    ("changes", "good"),
    [
        ({"id": "0" * 31}, False),
        ({"id": "A" * 32}, False),
        ({"id": "0" * 32 + "\n"}, False),
        ({"by": ""}, False),
        ({"by": "anna\nroot"}, False),
        ({"by": "\ud800"}, False),
        ({"by": "a" * 65}, False),
        ({"by": "Zoë 看"}, True),
        ({"name": "shutdown"}, False),
    ],
)
def test_a_command_says_who_in_one_line_and_has_an_id(changes: dict[str, Any], good: bool) -> None:
    line = altered(COMMANDS["judge"], **changes)
    if good:
        from_client(line)
    else:
        with pytest.raises(ProtocolError):
            from_client(line)


def test_a_payload_that_is_too_large_is_refused_before_it_is_read() -> None:
    preview = SAMPLES[Preview]
    assert next(Lines(client=False).feed(altered(preview, bytes=4) + b"jpeg")) == (
        from_instrument(altered(preview, bytes=4)),
        b"jpeg",
    )
    with pytest.raises(ProtocolError, match="bytes must be at most"):
        list(Lines(client=False).feed(altered(preview, bytes=LARGEST_PAYLOAD + 1)))


def test_a_line_without_an_end_is_refused_before_it_fills_the_memory() -> None:
    lines = Lines(client=True)
    with pytest.raises(ProtocolError, match="at most 65536 bytes"):
        for _ in range(1 << 14):
            assert not list(lines.feed(b"x" * 1024))
    assert len(lines._buffer) <= LONGEST_FROM_CLIENT + 1024


@given(st.lists(st.integers(1, 200), min_size=1, max_size=40))
def test_messages_are_whole_however_the_bytes_are_cut(cuts: list[int]) -> None:
    payload = string.ascii_letters.encode() + b"\n{}\n"
    sent = [(SAMPLES[kind], b"") for kind in get_args(FromInstrument) if kind is not Preview]
    preview = from_instrument(altered(SAMPLES[Preview], bytes=len(payload)))
    stream = b"".join(encode(message) for message, _ in sent) + encode(preview) + payload + encode(sent[0][0])
    lines, got, at, turn = Lines(client=False), [], 0, 0
    while at < len(stream):
        got += list(lines.feed(stream[at : at + cuts[turn % len(cuts)]]))
        at, turn = at + cuts[turn % len(cuts)], turn + 1
    assert got == [*sent, (preview, payload), sent[0]]
    assert not lines.midway


@given(st.binary(max_size=400))
def test_garbage_is_refused_or_awaited_and_nothing_else(data: bytes) -> None:
    lines = Lines(client=True)
    try:
        assert all(isinstance(message, get_args(FromClient)) for message, _ in lines.feed(data))
    except ProtocolError as error:
        assert str(error).isprintable()


def test_defaults_are_those_of_version_1() -> None:
    assert from_client(b'{"kind":"watch"}\n') == Watch(version=VERSION, previews=False, events=False)
    assert from_client(b'{"kind":"ready"}') == Ready()


def test_the_reference_page_is_current() -> None:
    old = messages_reference.PAGE.read_text(encoding="utf-8")
    made = messages_reference.text()
    assert f"{messages_reference.BEGIN}\n{made}\n{messages_reference.END}" in old, (
        "python -m tests.edge.instrument.socket.messages_reference --write"
    )
    assert made.replace("| `why` |", "| `because` |") not in old  # negative control
