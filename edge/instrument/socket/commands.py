"""The commands of the instrument's socket, and the arguments of each, as strict as the messages."""

from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from edge.errors import ProtocolError
from edge.instrument.socket.messages import ONE_LINE, Command, Name, Note, Positive, Slide
from edge.system.streams import one_line


class Arguments(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What all commands' arguments have in common: nothing else is allowed."""


class OpenArguments(Arguments, frozen=True, kw_only=True):
    """Of `open` and `reopen`.

    Attributes:
        slide: which one.
    """

    slide: Slide


class SlideArguments(Arguments, frozen=True, kw_only=True):
    """Of `pause`, `continue`, `close` and `judge`.

    Attributes:
        slide: the command is refused unless this one is open or paused; null is whichever is.
    """

    slide: Slide | None = None


class AutomaticArguments(Arguments, frozen=True, kw_only=True):
    """Of `automatic`.

    Attributes:
        on: usable new fields are judged by themselves.
    """

    on: bool


class ExposureArguments(Arguments, frozen=True, kw_only=True):
    """Of `exposure`.

    Attributes:
        locked: exposure, gain and white balance stay as they are now; else the camera chooses.
    """

    locked: bool


class ReferenceArguments(Arguments, frozen=True, kw_only=True):
    """Of `reference`: the next usable field becomes a reference field.

    Attributes:
        label: its class.
    """

    label: Name


class CorrectArguments(Arguments, frozen=True, kw_only=True):
    """Of `correct`.

    Attributes:
        slide: any in the record. field: its number there. label: the class that the expert sees; "" for none of the
            model's. agrees: that is what was answered. note: one line.
    """

    slide: Slide
    field: Positive
    label: Annotated[str, Meta(max_length=64, pattern=ONE_LINE)]
    agrees: bool
    note: Note = ""


ARGUMENTS: dict[str, type[Arguments]] = {
    "open": OpenArguments,
    "pause": SlideArguments,
    "continue": SlideArguments,
    "close": SlideArguments,
    "reopen": OpenArguments,
    "judge": SlideArguments,
    "automatic": AutomaticArguments,
    "exposure": ExposureArguments,
    "reference": ReferenceArguments,
    "correct": CorrectArguments,
}


def arguments(command: Command) -> Arguments:
    """The arguments of a command, checked.

    Raises:
        ProtocolError: other names than it has, or values of another type or out of range.

    >>> arguments(Command(id="0" * 32, name="automatic", by="anna", arguments={"on": True}))
    AutomaticArguments(on=True)
    """
    try:
        return msgspec.convert(command.arguments, ARGUMENTS[command.name])
    except msgspec.ValidationError as error:
        raise ProtocolError(f"{command.name}: {one_line(' '.join(str(error).split()))[:300]}") from error
