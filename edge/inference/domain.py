"""What images show: stained blood smears, for which there are measures of their own, or anything."""

from typing import Final, Literal

Domain = Literal["blood smear", "any"]
SMEAR: Final = "blood smear"
ANY: Final = "any"
DOMAINS: tuple[Domain, ...] = (SMEAR, ANY)
