"""The `models audit` command."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edge.commands.command_line import Outcome
from edge.errors import ANSWER_IS_NO, DONE, UsageError
from edge.system.files import require_writable, write_whole
from edge.system.option_values import optional_path
from models.site.options import SiteOptions, site_options
from models.support.records import as_json, write_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from models.data.dataset import ImageSet
    from models.data.field_groups import Overlap
    from models.site.audit_record import FieldFeatures, SiteAudit
    from models.site.fields import SiteFields


@dataclass(frozen=True)
class AuditRequest:
    """Look an image set over before anything is trained on it, and its slides where they are known."""

    site: SiteOptions
    network: str
    weights: Path | None
    out: Path
    json: bool

    def execute(self) -> Outcome:
        """Writes `audit.json`, `audit.html` (images) and `site.html` (slides). Code 1 with a refusal or a "stop"."""
        from models.data.audit import audit, gravest_first, to_text
        from models.data.field_groups import distinct_samples, find_overlaps
        from models.report.audit_page import page
        from models.report.site.site_page import site_page
        from models.site import audit_text
        from models.site.findings import site_findings

        require_writable(self.out, "--out")
        images, fields = self._load()
        overlaps = find_overlaps(distinct_samples(images.samples))
        slides = None if fields is None else {field.sample.sha256: field.slide for field in fields.fields}
        record = audit(images, overlaps=overlaps, slides=slides)
        found = self._audit(images, fields, overlaps)
        record["site"] = None if found is None else as_json(found)
        record["findings"] = gravest_first([*site_findings(found), *record["findings"]])
        write_json(self.out / "audit.json", record)
        write_whole(self.out / "audit.html", page(record, images))
        written = [self.out / "audit.html", self.out / "audit.json"]
        lines = [to_text(record)]
        if found is not None:
            write_whole(self.out / "site.html", site_page(found))
            written.insert(0, self.out / "site.html")
            lines.insert(0, audit_text.to_text(found))
        code = ANSWER_IS_NO if any(finding["level"] == "stop" for finding in record["findings"]) else DONE
        return Outcome(code, record, "\n".join([*lines, f"written: {', '.join(map(str, written))}"]))

    def _load(self) -> "tuple[ImageSet, SiteFields | None]":
        """The images, and, where a table or a pattern names the slides, the site."""
        from models.data.dataset import scan

        if not self.site.names_slides():
            return scan(self.site.data), None
        fields = self.site.load()
        return fields.images, fields

    def _audit(
        self, images: "ImageSet", fields: "SiteFields | None", overlaps: "Sequence[Overlap]"
    ) -> "SiteAudit | None":
        from models.site.audit import audit_blocks, audit_site

        if fields is None:
            return audit_blocks(images)
        features, painted = self._features(fields) if self.network else (None, None)
        return audit_site(fields, features=features, painted=painted, overlaps=overlaps)

    def _features(self, fields: "SiteFields") -> "tuple[FieldFeatures, FieldFeatures]":
        """Of every field as it is, and with its white cells painted out."""
        from models.adaptation.job import site_contract
        from models.adaptation.network.backbone import open_backbone
        from models.adaptation.network.features import CACHE_FOLDER, site_features

        backbone = open_backbone(self.network, self.weights)
        contract, _ = site_contract(fields, backbone, (), None)
        found = site_features(backbone, contract, fields.fields, 0, self.out / CACHE_FOLDER)
        return found.by_field(fields.fields), found.painted_by_field(fields.fields)


def audit(
    data: str,
    *,
    network: str = "",
    weights: str = "",
    pattern: str = "",
    camera: str = "",
    out: str = "build/audit",
    json: bool = False,
) -> AuditRequest:
    """Report what to know before training: what gives classes away, copies, overlaps, and what slides can show.

    Where fields.csv or PATTERN names each field's slide, a site is refused, by name, whose slides cannot show what a
    new slide would do: where camera, session, day, size, format, light or border give the class away, or slides are
    too few. Exit 1 when something is refused, or is to be settled before training: a finding that begins with "stop".

    Args:
        data: folder with one sub-folder of images a class; with fields.csv beside them, its slides are audited too.
        network: whose features would be used, for the slide-identity control: mobilenet_v2, custom_cnn, imagenet (with
            --weights), or a folder with model.keras and contract.json. Left out: colours and measures of white cells.
        weights: with --network imagenet: MobileNetV2 backbone weights without top (.h5).
        pattern: what file names say, such as '{slide}_{field}.png'; also {session}, {camera}, {date}, * for any.
        camera: take only the fields of this camera.
        out: folder for audit.json, site.html (slides) and audit.html (it shows images of the set).
        json: print the record as JSON.
    """
    if weights and network != "imagenet":
        raise UsageError(f"--weights belongs to --network imagenet; got --network {network or '(none)'}")
    site = site_options(data, pattern, camera)
    if camera and not site.names_slides():
        raise UsageError("--camera needs fields.csv, or a --pattern with {slide}")
    if network and not site.names_slides():
        raise UsageError("--network is for the slides' control: it needs fields.csv, or a --pattern with {slide}")
    return AuditRequest(site, network, optional_path(weights), Path(out), json)
