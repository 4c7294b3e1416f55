"""Refusals: named reasons why a site's fields cannot show what a new slide would do."""

from typing import Literal

from msgspec import Struct

RefusalName = Literal[
    "class_is_camera",
    "class_is_session",
    "class_is_day",
    "class_is_size",
    "class_is_format",
    "class_is_colour",
    "class_is_border",
    "one_slide_a_class",
    "too_few_slides",
    "labels_at_chance",
    "slide_under_two_labels",
    "image_under_two_labels",
    "image_on_two_slides",
    "field_on_two_slides",
    "slide_in_two_parts",
]
FEWEST_SLIDES = 5  # a class


class Refusal(Struct, frozen=True):
    """One reason.

    Attributes:
        name: stable. detail: what was found, with its number. cure: what would settle it.

    >>> print(Refusal("one_slide_a_class", "Pro has 1 slide", "collect from 5 slides or more"))
    one_slide_a_class: Pro has 1 slide; collect from 5 slides or more
    """

    name: RefusalName
    detail: str
    cure: str

    def __str__(self) -> str:
        return f"{self.name}: {self.detail}; {self.cure}"


class Caution(Struct, frozen=True):
    """What does not stand in the way, but should be known; attributes as in `Refusal`."""

    name: Literal[
        "session_tells",
        "slide_tells_as_much",
        "told_without_cells",
        "not_known",
        "one_sided",
        "partly_told",
        "same_image_twice",
    ]
    detail: str
    cure: str

    def __str__(self) -> str:
        return f"{self.name}: {self.detail}; {self.cure}"
