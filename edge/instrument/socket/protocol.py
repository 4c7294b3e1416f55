"""Lines of the instrument's socket: messages to JSON and back, with their payloads, within limits."""

from collections.abc import Callable, Iterator
from numbers import Integral, Real
from typing import Any, Final

import msgspec

from edge.errors import ProtocolError
from edge.instrument.socket.messages import (
    VERSION,
    FromClient,
    FromInstrument,
    Message,
    Preview,
)
from edge.system.streams import one_line
from edge.system.strict_json import read_object

LONGEST_FROM_CLIENT: Final = 64 << 10  # bytes a line, its end included
LONGEST_FROM_INSTRUMENT: Final = 1 << 20
LARGEST_PAYLOAD: Final = 2 << 20  # a JPEG
_LONGEST_SHOWN = 300  # characters of an error, which may quote what was sent


def _number(value: Any) -> float | int:
    """NumPy's numbers, which are none of JSON's."""
    if isinstance(value, Integral):
        return int(value)
    if isinstance(value, Real):
        return float(value)
    raise NotImplementedError(f"{type(value).__name__} cannot be told")


_encoder = msgspec.json.Encoder(enc_hook=_number)


def encode(message: Message) -> bytes:
    r"""A message as a line. NaN and infinities become null, bytes of a name that is not UTF-8 become `\xff`.

    Raises:
        ProtocolError: longer than a line of the instrument may be.

    >>> from edge.instrument.socket.messages import Ready
    >>> encode(Ready())
    b'{"kind":"ready"}\n'
    """
    try:
        line = _encoder.encode(message) + b"\n"
    except UnicodeEncodeError:  # surrogates: of a path, or of what others wrote
        line = _encoder.encode(_escaped(msgspec.to_builtins(message, enc_hook=_number))) + b"\n"
    if len(line) > LONGEST_FROM_INSTRUMENT:
        raise ProtocolError(f"a line must be at most {LONGEST_FROM_INSTRUMENT} bytes long; got {len(line)}")
    return line


def from_client(line: bytes) -> FromClient:
    r"""The message of a client's line.

    Raises:
        ProtocolError: it is none, of another version, or a command with other arguments than it has.

    >>> from_client(b'{"kind":"watch","version":1,"previews":true,"events":false}\n').previews
    True
    """
    message: FromClient = _decode(line, FromClient, LONGEST_FROM_CLIENT)
    return message


def from_instrument(line: bytes) -> FromInstrument:
    """The message of an instrument's line; a preview's payload is what follows it.

    Raises:
        ProtocolError: it is none, its payload would be too large, or the instrument speaks another version.
    """
    message: FromInstrument = _decode(line, FromInstrument, LONGEST_FROM_INSTRUMENT)
    if isinstance(message, Preview) and message.bytes > LARGEST_PAYLOAD:
        raise ProtocolError(f"bytes must be at most {LARGEST_PAYLOAD}; got {message.bytes}")
    return message


class Lines:
    r"""Bytes as they arrive, to whole messages.

    Args:
        client: they come from a client, else from an instrument.

    >>> lines = Lines(client=True)
    >>> [list(lines.feed(part)) for part in (b'{"kind":', b'"ready"}\n{"ki')]
    [[], [(Ready(), b'')]]
    """

    def __init__(self, *, client: bool) -> None:
        self._decode: Callable[[bytes], FromClient | FromInstrument] = from_client if client else from_instrument
        self._longest = LONGEST_FROM_CLIENT if client else LONGEST_FROM_INSTRUMENT
        self._buffer = bytearray()
        self._searched = 0  # bytes of the buffer without an end of line
        self._headed: Preview | None = None  # a message whose payload is awaited

    @property
    def midway(self) -> bool:
        """Part of a message was read."""
        return bool(self._buffer) or self._headed is not None

    def feed(self, data: bytes | bytearray | memoryview) -> Iterator[tuple[Any, bytes]]:
        """(message, payload) of all that is whole now. At most one message and `data` are held.

        Raises:
            ProtocolError: no such message, or a line that is too long. Nothing can be read after it.
        """
        self._buffer += data
        while True:
            if self._headed is not None:
                size = self._headed.bytes
                if len(self._buffer) < size:
                    return
                headed, payload = self._headed, bytes(memoryview(self._buffer)[:size])
                del self._buffer[:size]
                self._headed, self._searched = None, 0
                yield headed, payload
                continue
            end = self._buffer.find(b"\n", self._searched)
            if end < 0:
                self._searched = len(self._buffer)
                if self._searched >= self._longest:
                    raise ProtocolError(f"a line must be at most {self._longest} bytes long; got a longer one")
                return
            line = bytes(memoryview(self._buffer)[: end + 1])
            del self._buffer[: end + 1]
            self._searched = 0
            message = self._decode(line)
            if isinstance(message, Preview):
                self._headed = message
            else:
                yield message, b""


def _decode(line: bytes, types: Any, longest: int) -> Any:
    if len(line) > longest:
        raise ProtocolError(f"a line must be at most {longest} bytes long; got {len(line)}")
    record = read_object(line, "a line", ProtocolError)
    other = record.get("version", VERSION)
    if other != VERSION or isinstance(other, bool):  # of another version nothing else can be checked
        raise ProtocolError(f"version must be {VERSION}; got {one_line(str(other))[:_LONGEST_SHOWN]}")
    try:
        return msgspec.convert(record, types)
    except msgspec.ValidationError as error:
        raise ProtocolError(_shown(error)) from error


def _escaped(value: Any) -> Any:
    if isinstance(value, str):
        return one_line(value)
    if isinstance(value, dict):
        return {_escaped(name): _escaped(each) for name, each in value.items()}
    return [_escaped(each) for each in value] if isinstance(value, list) else value


def _shown(error: Exception) -> str:
    return one_line(" ".join(str(error).split()))[:_LONGEST_SHOWN]
