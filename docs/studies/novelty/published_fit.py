"""The novelty gate of the published fields as `models gates` fits it, for studies that alter it.

Prototypes and covariance are fitted to the training part of the field-disjoint list; the limits are quantiles of the
validation part, and of nothing else. What the gate then does is measured by `docs.studies.novelty.refusals`.
"""

import logging
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from docs.studies.novelty.published_fields import SIZE, Part
from edge.inference.gates.gates_file import FamilyNumbers
from edge.inference.gates.novelty import Novelty
from models.data.published import trained
from models.decision.network_gates import FILE
from models.decision.prototypes import RULES, distances, fit, measure, scores, to_numbers, with_limits
from models.support.versions import versions

_log = logging.getLogger(__name__)

BUDGET = 0.01  # of the validation images
GATES = trained("mobilenet_v2") / FILE  # the custom CNN's is a copy


def calibrated(parts: Mapping[str, Part]) -> tuple[Novelty, dict[str, FamilyNumbers], dict[str, Any]]:
    """The gate of the training and validation parts, as `gates.json` holds it, and where it comes from."""
    train, validation = parts["train"], parts["validation"]
    fitted = fit(measure(train.pixels), train.labels)
    measured = measure(validation.pixels)
    far = distances(fitted, measured)
    novelty = with_limits(fitted, far)
    refused = int((scores(novelty, measured) > 1).sum())
    about = {
        "command": "models gates mobilenet_v2 --data DIR",
        "size": list(SIZE),
        "train": {"images": len(train.labels)},
        "validation": {"images": len(validation.labels), "refused": refused},
        "rules": {name: asdict(rule) for name, rule in RULES.items()},
        "versions": versions(),
    }
    return novelty, to_numbers(novelty, far), about
