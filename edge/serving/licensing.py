"""What a bundle may say on this device: its acceptance, held against the site and the camera's set-up."""

from edge.bundle.bundle import Bundle
from edge.errors import AcceptanceError
from edge.inference.licence import Licence
from edge.settings.site import SiteSettings

CAMERA_SETUP_CHANGED = "camera_setup_changed"
GATES_OFF = "gates_off"  # slides were judged with the bundle's gates, and not all of them are asked
ANYWHERE = SiteSettings()


def licence_of(bundle: Bundle, site: SiteSettings = ANYWHERE) -> Licence:
    """The licence of a bundle at a site.

    Slides that show too little hold a benign answer back everywhere, also on a device that names no site.

    Raises:
        AcceptanceError: the device names its site, which did not accept the bundle, and does not say `study`.
    """
    acceptance, benign = bundle.acceptance, bundle.contract.benign_labels
    if acceptance is None:
        _require_study(bundle, site, "no slides of any site were judged with it")
        return Licence()
    tier = acceptance.tier(bundle.contract)
    failed = acceptance.verdict == "fail"
    why = f"{acceptance.site}: {'acceptance failed' if failed else tier}"
    withheld = benign if failed or not tier.says_benign else ()
    if site.name != acceptance.site:
        _require_study(bundle, site, f"it was accepted at {acceptance.site}")
        return Licence(f"not accepted here: {acceptance.site} did", withheld, why if withheld else "")
    if failed:
        _require_study(bundle, site, "its acceptance there failed")
        return Licence(why, withheld, why)
    return Licence(why, withheld, why if withheld else "", accepted=True)


def under_setup(licence: Licence, bundle: Bundle, camera_setup: str) -> Licence:
    """The licence when fields are taken under a set-up of the camera: expired where no accepted field was.

    Args:
        camera_setup: its digest; "" where the camera has none.
    """
    if bundle.acceptance is None or camera_setup in bundle.acceptance.camera_setups:
        return licence
    return expired(licence, bundle, CAMERA_SETUP_CHANGED)


def expired(licence: Licence, bundle: Bundle, reason: str) -> Licence:
    """A licence that does not hold any more: benign is not said, until the site accepts the bundle again.

    Args:
        reason: a stable name, such as `CAMERA_SETUP_CHANGED`.
    """
    if bundle.acceptance is None or not licence.accepted:
        return licence
    said = f"{bundle.acceptance.site}: acceptance expired: {reason}"
    return Licence(said, bundle.contract.benign_labels, said, reason)


def _require_study(bundle: Bundle, site: SiteSettings, why: str) -> None:
    if site.name and not site.study:
        raise AcceptanceError(
            f"{bundle.path}: is not accepted at {site.name}: {why}; `convert accept {bundle.name} --data DIR` judges "
            "slides of this site, and `study = true` in [site] of the profile runs it without"
        )
