"""The keys that are trusted here, whether they allow the bundle that the settings name, its gates and acceptance."""

from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from edge.system.machine import Finding, Machine
from edge.system.wording import counted

if TYPE_CHECKING:
    from edge.bundle.bundle import Bundle


def bundle(machine: Machine) -> Sequence[Finding]:
    """The trusted keys, the signature of the bundle, its gates and its acceptance."""
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
    bundle_found = Finding("bundle", "warning" if cure else "ok", text, cure)
    return [*found, bundle_found, gates(machine, loaded), acceptance(machine, loaded)]


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


def acceptance(machine: Machine, loaded: "Bundle") -> Finding:
    """What the bundle may say at the site that the settings name, under the camera's set-up."""
    from edge.cameras.setup.set_up_camera import open_set_up, setup_digest
    from edge.errors import AcceptanceError, EdgeError
    from edge.serving.licensing import GATES_OFF, expired, licence_of, under_setup
    from edge.settings.site import SiteSettings

    judge = f"`convert accept {loaded.path} --data DIR` judges held-back slides of this site"
    try:
        licence = licence_of(loaded, SiteSettings(machine.site, machine.study))
    except AcceptanceError as error:
        return Finding("acceptance", "missing", str(error), judge)
    own = () if loaded.gates is None else loaded.gates.gates().names
    if own and (machine.ungated or set(machine.gates_off) & set(own)):
        licence = expired(licence, loaded, GATES_OFF)
    with suppress(EdgeError):  # what is wrong with the camera or its set-up is another finding
        camera = open_set_up(machine.camera, machine.camera_setup) if machine.camera else None
        if camera is not None and camera.kind != "replay":
            licence = under_setup(licence, loaded, setup_digest(camera))
    if licence.withheld:
        return Finding("acceptance", "warning", f"{licence.acceptance}; benign is not answered", judge)
    if not machine.site:
        return Finding("acceptance", "ok", f"{licence.acceptance}: [site] of the profile names no laboratory")
    if licence.accepted:
        return Finding("acceptance", "ok", licence.acceptance)
    return Finding("acceptance", "warning", licence.acceptance, judge)
