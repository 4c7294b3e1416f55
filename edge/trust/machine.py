"""The keys of this machine: where its profile says, else in the default folder."""

from pathlib import Path

from edge.trust.trusted import DEFAULT_PROFILE, TrustedKeys


def machine_keys(profile: Path | None = None) -> TrustedKeys:
    """The trusted keys by `[trust] keys` of a profile.

    Args:
        profile: None is the machine's own, where it has one.

    Raises:
        SettingsError: a profile that cannot be read. TrustError, TrustUnavailable: as `TrustedKeys.load`.
    """
    if profile is None and not DEFAULT_PROFILE.exists():
        return TrustedKeys.load()
    from edge.settings import load  # most commands on most machines have no profile to read

    return TrustedKeys.load(load(profile or DEFAULT_PROFILE).trust.keys)
