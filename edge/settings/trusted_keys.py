"""The keys of this machine: where its profile says, else in the default folder."""

from pathlib import Path
from typing import TYPE_CHECKING

from edge.bundle.trusted import DEFAULT_PROFILE, TrustedKeys

if TYPE_CHECKING:
    from edge.settings.profile import Settings


def machine_profile(profile: Path | None = None) -> "Settings | None":
    """A profile; None is the machine's own, and where it has none there is none to read.

    Raises:
        SettingsError: it cannot be read.
    """
    if profile is None and not DEFAULT_PROFILE.exists():
        return None
    from edge.settings.profile import load  # most commands on most machines have no profile to read

    return load(profile or DEFAULT_PROFILE)


def machine_keys() -> TrustedKeys:
    """The trusted keys by `[trust] keys` of the machine's own profile, where it has one.

    Raises:
        SettingsError: a profile that cannot be read. TrustError, TrustUnavailable: as `TrustedKeys.load`.
    """
    settings = machine_profile()
    return TrustedKeys.load() if settings is None else TrustedKeys.load(settings.trust.keys)
