"""Findings of `models audit` that the audit of its slides adds: level, name and sentence each."""

from models.site.audit_record import BLOCKS, SLIDES, SiteAudit
from models.site.audit_text import NO_IDENTITY

_COMPLETE = ("class_is_camera", "class_is_day", "class_is_size", "class_is_format")  # what a file says of itself


def site_findings(audit: SiteAudit | None) -> list[dict[str, str]]:
    """What stands in the way first; level "stop" for what refuses the set, "care" for what misleads.

    Args:
        audit: of the site, or of blocks of file numbers; None where there were too few images for any.
    """
    if audit is None:
        return [_finding("care", "no_slide_identity", NO_IDENTITY)]
    known = audit.units == SLIDES
    found = []
    for refusal in audit.refusals:
        level = "stop" if known or refusal.name in _COMPLETE else "care"
        found.append(_finding(level, refusal.name, f"{refusal.detail}; {refusal.cure}"))
    if audit.units == BLOCKS:
        found.append(_finding("care", "no_slide_identity", NO_IDENTITY))
    return found + [_finding("care", caution.name, f"{caution.detail}; {caution.cure}") for caution in audit.cautions]


def _finding(level: str, name: str, text: str) -> dict[str, str]:
    return {"level": level, "name": name, "text": f"{name}: {text}"}
