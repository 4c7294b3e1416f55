"""The keys that are trusted here, and whether they allow the bundle that the settings name."""

from collections.abc import Sequence

from edge.system.machine import Finding, Machine
from edge.system.wording import counted


def bundle(machine: Machine) -> Sequence[Finding]:
    """The trusted keys, and the signature of the bundle."""
    from edge.bundle import bundle as bundles
    from edge.bundle.trusted import TrustedKeys
    from edge.errors import BundleError, SettingsError, SignatureError, TrustError, TrustUnavailable, UpdateError
    from edge.serving.serve import bundle_to_run

    try:
        trust = TrustedKeys.load(machine.keys)
    except (TrustError, TrustUnavailable, SettingsError) as error:
        return [Finding("trusted keys", "missing", str(error), "until then no bundle runs: correct what it names")]
    found = [Finding("trusted keys", "warning", warning, "chmod -R go-w on that folder") for warning in trust.warnings]
    if not trust.held:
        text = f"none in {trust.folder}: only the bundle of this installation runs"
        found.append(Finding("trusted keys", "ok", text))
    else:
        named = ", ".join(f"{key.name} ({key.id[:12]})" for key in trust.keys.values()) or "none that is not revoked"
        revoked = len(trust.revoked_keys) + len(trust.revoked_bundles)
        text = f"{named}; {counted(revoked, 'revocation')}; signed bundles alone run"
        cure = "" if trust.keys else "install the signer's new public key"
        found.append(Finding("trusted keys", "warning" if cure else "ok", text, cure))
    try:
        loaded = bundles.load(machine.bundle or bundle_to_run(), trust=trust, allow_uncertified=True)
    except SignatureError as error:
        return [*found, Finding("bundle", "missing", str(error), "have it signed, or install one that is")]
    except (BundleError, UpdateError) as error:
        return [*found, Finding("bundle", "missing", str(error), "fetch it again")]
    cure = "install a bundle that real images certified: its accuracy is not known" if loaded.synthetic else ""
    cure = cure or (f"certify it by the shipped policy; {loaded.lax_policy}" if loaded.lax_policy else "")
    text = f"{loaded.provenance} ({loaded.digest[:12]})"
    return [*found, Finding("bundle", "warning" if cure else "ok", text, cure)]
