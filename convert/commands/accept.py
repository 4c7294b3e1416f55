"""The `convert accept` command."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge.commands.command_line import Outcome
from edge.errors import ANSWER_IS_NO, DONE, NOT_ENOUGH_EVIDENCE, UsageError
from edge.settings.site import SITE, SITE_IN_WORDS
from edge.system.option_values import optional_path

if TYPE_CHECKING:
    from convert.acceptance.job import Accepted
    from models.site.options import SiteOptions

PAGE = "acceptance.html"


@dataclass(frozen=True)
class AcceptRequest:
    """Judge held-back slides with a bundle.

    Attributes:
        site: "" takes that of the adaptation, else the name of the folder of the slides. out: folder for the page.

    >>> accept("site-int8", data="held_back", site="lab-3").site
    'lab-3'
    """

    bundle: Path
    data: "SiteOptions"
    site: str
    out: Path
    limits: Path | None
    adaptation: Path | None
    repeats: Path | None
    published: Path | None
    json: bool

    def execute(self) -> Outcome:
        """Write `acceptance.json` into the bundle and the page beside it.

        Returns:
            Code 0 where the limits are met, 1 where they are surely broken, 3 where there are too few slides to say.

        Raises:
            AcceptanceRefused: slides that can show nothing (1). BundleError, DatasetError, PolicyError: what was
                named is not what it must be (2). OSError: it cannot be written.
        """
        from convert.acceptance.job import accept
        from convert.acceptance.limits import Limits
        from convert.acceptance.page import acceptance_page, acceptance_text
        from convert.acceptance.published import read_published
        from edge.system.files import require_writable, write_whole

        published = () if self.published is None else read_published(self.published)
        if self.repeats is not None and not self.repeats.is_dir():
            raise UsageError(f"--repeats must be a folder; got {str(self.repeats)!r}")
        require_writable(self.out if self.out.exists() else self.out.parent, "--out")
        found = accept(
            self.bundle,
            self.data,
            site_name=self.site,
            limits=Limits.load(self.limits),
            adaptation_file=self.adaptation,
            repeats=self.repeats,
        )
        self.out.mkdir(parents=True, exist_ok=True)
        write_whole(self.out / PAGE, acceptance_page(found, published))
        code = {"pass": DONE, "fail": ANSWER_IS_NO, "inconclusive": NOT_ENOUGH_EVIDENCE}[found.acceptance.verdict]
        text = acceptance_text(found) + f"\nwritten: {self.bundle / 'acceptance.json'}; to sign: {self.out / PAGE}"
        return Outcome(code, _record(found, self.out / PAGE), text)


def accept(
    bundle: str,
    *,
    data: str,
    site: str = "",
    out: str = "",
    pattern: str = "",
    camera: str = "",
    mixed_cameras: bool = False,
    limits: str = "",
    adaptation: str = "",
    repeats: str = "",
    published: str = "",
    json: bool = False,
) -> AcceptRequest:
    """Judge held-back slides of a site with a bundle, and write into it what it may say there.

    Slides that trained, calibrated or chose anything are refused, by image and by name. Below 29 leukemic slides, none
    of them missed, devices never answer benign; above, the bound stands on every verdict. A signature must be made
    anew. Exit code 0 pass, 1 fail or refused, 3 too few slides to say.

    Args:
        bundle: folder of a converted bundle.
        data: folder with one sub-folder of images a class, and `fields.csv` or names that PATTERN reads.
        site: name of the laboratory, as `[site] name` of its devices has it; that of the adaptation, else of the
            folder DATA when left out.
        out: folder for acceptance.html, the page to sign; BUNDLE-acceptance beside the bundle when left out.
        pattern: what file names say, such as '{slide}_{field}.png'; also {session}, {camera}, {date}, * for any.
        camera: take only the fields of this camera.
        mixed_cameras: several cameras took the fields, and that is meant.
        limits: TOML file of what slides must show; the shipped acceptance.toml when left out.
        adaptation: adaptation.json of `models adapt`, for a bundle that holds none.
        repeats: folder with a sub-folder a field, in each frames of it that were taken again.
        published: TOML file of published figures to set beside: [[figure]] tables with analyser, of, source,
            sensitivity, specificity.
        json: print one JSON object.
    """
    from models.site.options import site_options

    if site and not SITE.fullmatch(site):
        raise UsageError(f"--site must be {SITE_IN_WORDS}; got {site!r}")
    path = Path(bundle)
    return AcceptRequest(
        bundle=path,
        data=site_options(data, pattern, camera, mixed_cameras),
        site=site,
        out=Path(out) if out else path.resolve().parent / f"{path.resolve().name}-acceptance",
        limits=optional_path(limits),
        adaptation=optional_path(adaptation),
        repeats=optional_path(repeats),
        published=optional_path(published),
        json=json,
    )


def _record(found: "Accepted", page: Path) -> dict[str, Any]:
    acceptance, tier, figures = found.acceptance, found.tier, found.figures
    return {
        "verdict": acceptance.verdict,
        "reasons": list(acceptance.reasons),
        "bundle": found.bundle.name,
        "digest": found.bundle.digest,
        "site": acceptance.site,
        "leukemic_slides": tier.slides,
        "missed": tier.missed,
        "missed_at_most": tier.bound,
        "tier": tier.rate,
        "says_benign": tier.says_benign,
        "sensitivity": figures.sensitivity.share,
        "sensitivity_at_least": figures.sensitivity.lower,
        "specificity": figures.specificity.share,
        "specificity_at_least": figures.specificity.lower,
        "refused_slides": figures.refused.count,
        "refused_fields": acceptance.refused,
        "kappa": None if acceptance.kappa is None else acceptance.kappa.value,
        "more_slides": {check.name: check.more for check in found.checks if check.more},
        "signature_void": found.signature_void,
        "page": str(page),
    }
