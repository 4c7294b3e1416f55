"""`[slide]` of the profile: the rule by which a slide's finding is made, and when its fields are enough."""

from dataclasses import dataclass
from typing import Annotated

from msgspec import Meta

from edge.slides.rules import rule_named


@dataclass(frozen=True)
class SlideSettings:
    """[slide]. `rule`: name and version of the rule (`edge.slides.rules`). `fields`: fewer counted fields are never
    enough. `width`: the widest 95 % interval of the share of fields that are not benign that is enough, 0..1.

    >>> SlideSettings().fields
    20
    """

    rule: str = "tenth-1"
    fields: Annotated[int, Meta(ge=1, le=10_000, description="a whole number 1..10000")] = 20
    width: Annotated[float, Meta(gt=0, le=1, description="a number above 0, at most 1")] = 0.3

    def __post_init__(self) -> None:
        rule_named(self.rule)
