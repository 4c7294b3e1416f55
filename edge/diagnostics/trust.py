"""The keys that are trusted here, whether they allow the bundle that the settings name, and the bundle's gates."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from edge.system.machine import Finding, Machine
from edge.system.wording import counted

if TYPE_CHECKING:
    from edge.bundle.bundle import Bundle


def bundle(machine: Machine) -> Sequence[Finding]:
    """The trusted keys, the signature of the bundle, and its gates."""
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
    return [*found, Finding("bundle", "warning" if cure else "ok", text, cure), gates(machine, loaded)]


def gates(machine: Machine, loaded: "Bundle") -> Finding:
    """What the bundle's gates are, and what the settings leave of them."""
    if machine.ungated:
        cure = "take `ungated = true` out of [model] unless every frame is to be judged, whatever it shows"
        return Finding("gates", "warning", f"no gate is asked: {loaded.name} runs ungated", cure)
    file = loaded.gates
    if file is None:
        cure = f"`convert gates {loaded.path} --data DIR` fits them to its images, or install a bundle that has them"
        return Finding("gates", "missing", f"{loaded.name} has no gates.json and does not run without --ungated", cure)
    text = f"{', '.join(file.gates().names)}; {file.domain}"
    if file.judged is not None:
        text += f"; {file.judged.refused} of {file.judged.images} held-back images were refused"
    off = [name for name in file.gates().names if name in machine.gates_off]
    if off:
        cure = "empty `off` of [gates] in the profile unless they are not to be asked"
        return Finding("gates", "warning", f"the profile turns off {', '.join(off)}; there are {text}", cure)
    return Finding("gates", "ok", text)
