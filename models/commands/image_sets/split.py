"""The `models split` command."""

from dataclasses import dataclass
from pathlib import Path

from edge.commands.command_line import Outcome
from edge.errors import DONE
from edge.system.files import require_file, write_whole
from edge.system.option_values import optional_path, whole_number


@dataclass(frozen=True)
class SplitRequest:
    """Divide an image set into training, validation and test parts."""

    data: Path
    out: Path
    groups: Path | None
    random: bool
    seed: int
    json: bool

    def execute(self) -> Outcome:
        """Writes one CSV.

        Images listed in `groups` that are not in `data` go to the test part. A list may have missed some overlaps, so
        fields are searched for as well, and an image found to share one with an earlier part is excluded.
        """
        from models.data.dataset import scan
        from models.data.field_groups import find_groups
        from models.data.split import Split, absent_items, exclude_overlaps, field_disjoint, random_split, read_groups

        require_file(self.out, "--out")
        image_set = scan(self.data)
        listed = read_groups(self.groups) if self.groups else ()
        found = {} if listed and self.random else find_groups(image_set.samples)
        groups = {item.sha256: item.group for item in listed} or found
        make = random_split if self.random else field_disjoint
        split = make(image_set.samples, groups, self.seed)
        split = Split(split.items + absent_items(listed, image_set))
        if listed and not self.random:
            split = exclude_overlaps(split, found)
        write_whole(self.out, split.to_csv())
        record = {
            "file": str(self.out),
            "counts": split.counts(),
            "field_disjoint": split.is_field_disjoint(),
        }
        lines = [
            f"{part}: {sum(n.values())} ({', '.join(f'{k} {v}' for k, v in n.items())})"
            for part, n in split.counts().items()
        ]
        return Outcome(DONE, record, "\n".join([*lines, f"written: {self.out}"]))


def split(
    data: str, *, out: str, groups: str = "", random: bool = False, seed: str = "7", json: bool = False
) -> SplitRequest:
    """Divide images into train, validation and test so that no microscope field is on two sides.

    Args:
        data: folder with one sub-folder of images a class.
        out: the CSV to write.
        groups: CSV that names fields (class, file, sha256, field_group); found from the images when not given.
        random: draw images at random instead, as published work does; for comparison only.
        seed: of the draw.
        json: print the counts as JSON.
    """
    return SplitRequest(
        Path(data),
        Path(out),
        optional_path(groups),
        random,
        whole_number(seed, "--seed"),
        json,
    )
