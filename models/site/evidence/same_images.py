"""Fields that are there twice: under two labels, on two slides, or on both sides of a split."""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import PurePosixPath

from models.data.field_groups import Overlap, distinct_samples, find_overlaps
from models.site.fields import SiteField, SiteFields
from models.site.refusals import Caution, Refusal


def same_images(
    site: SiteFields, overlaps: Sequence[Overlap] | None = None
) -> tuple[tuple[Refusal, ...], tuple[Caution, ...]]:
    """What refuses a site whatever else it shows, and copies that only count twice.

    Args:
        overlaps: from `find_overlaps(distinct_samples(...))` of the site's images, when it is known already.

    Raises:
        ImageFileError: a file changed into something unreadable since the scan.
    """
    refusals = [*_slides(site), *_copies(site)]
    if not any(refusal.name.startswith("image_") for refusal in refusals):
        refusals += _overlaps(site, overlaps)
    copies = len(site.fields) - len({field.sample.sha256 for field in site.fields})
    if refusals or not copies:
        return tuple(refusals), ()
    return (), (Caution("same_image_twice", f"{copies} fields are exact copies of others", "remove them"),)


def _slides(site: SiteFields) -> list[Refusal]:
    labels: dict[str, set[str]] = defaultdict(set)
    parts: dict[str, set[str]] = defaultdict(set)
    for field in site.fields:
        labels[field.slide].add(field.label)
        parts[field.slide].add(_part(site, field))
    found = []
    if two := sorted(slide for slide, own in labels.items() if len(own) > 1):
        text = f"{_some(two)} carries {' and '.join(sorted(labels[two[0]]))}"
        found.append(Refusal("slide_under_two_labels", text, "a slide has one diagnosis: correct its labels"))
    if two := sorted(slide for slide, own in parts.items() if len(own) > 1):
        text = f"{_some(two)} has fields in {' and '.join(sorted(parts[two[0]]))}"
        found.append(Refusal("slide_in_two_parts", text, "keep all fields of a slide in one part"))
    return found


def _copies(site: SiteFields) -> list[Refusal]:
    same: dict[str, list[SiteField]] = defaultdict(list)
    for field in site.fields:
        same[field.sample.sha256].append(field)
    labels = [own for own in same.values() if len({field.label for field in own}) > 1]
    slides = [own for own in same.values() if len({field.slide for field in own}) > 1]
    if labels:
        text = f"{len(labels)} images carry two labels, such as {_names(labels[0])}"
        return [Refusal("image_under_two_labels", text, "one of the labels is wrong: correct it")]
    if slides:
        text = f"{len(slides)} images are there under two slides' names, such as {_names(slides[0])}"
        return [Refusal("image_on_two_slides", text, "one image is of one slide: correct the names")]
    return []


def _overlaps(site: SiteFields, overlaps: Sequence[Overlap] | None) -> list[Refusal]:
    """Different images that show the same piece of smear under the names of two slides."""
    fields = {field.sample.sha256: field for field in site.fields}
    distinct = distinct_samples([field.sample for field in site.fields])
    if overlaps is None:
        overlaps = find_overlaps(distinct)
    pairs = [(fields[distinct[pair.first].sha256], fields[distinct[pair.second].sha256]) for pair in overlaps]
    two = [pair for pair in pairs if pair[0].slide != pair[1].slide]
    if not two:
        return []
    text = f"{len(two)} pairs of images show the same cells under two slides' names, such as {_names(two[0])}"
    return [Refusal("field_on_two_slides", text, "correct the slides' names, or leave one of the two out")]


def _part(site: SiteFields, field: SiteField) -> str:
    """The folder (train, test) that a field lies in, "" in a set that is not divided."""
    top = PurePosixPath(field.sample.name).parts[0]
    return top if top in site.images.parts else ""


def _some(slides: list[str]) -> str:
    return slides[0] if len(slides) == 1 else f"{slides[0]} (and {len(slides) - 1} more)"


def _names(fields: "list[SiteField] | tuple[SiteField, SiteField]") -> str:
    return " and ".join(field.sample.name for field in fields[:2])
