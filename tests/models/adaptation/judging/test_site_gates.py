"""Gates of a site: of whole frames, tried on slides that they were not fitted to."""

import numpy as np
import pytest

from edge.inference.contract import InputContract
from edge.inference.domain import SMEAR
from models.adaptation.judging.linear_head import one_thread
from models.adaptation.judging.site_gates import fit_site_gates
from models.errors import TooFewFieldsError
from models.site.fields import load_site
from models.site.slide_folds import slide_folds
from tests.laboratories import clean, drawn_site


def test_gates_look_at_whole_frames_whatever_the_network_sees() -> None:
    site = load_site(drawn_site(3, clean(slides=5, fields=4)))
    fold_of = slide_folds(site, 5)
    folds = np.array([fold_of[each.slide] for each in site.fields])
    contract = InputContract((112, 112), site.labels, tiles=(2, 2))
    with one_thread():
        found = fit_site_gates(SMEAR, site.fields, contract, folds, "models adapt")
    assert found.file.size == (112, 112) and found.file.judged is not None
    assert found.judged.refused.of == 40 and found.judged.refused.count == int((~found.passed).sum()) < 12
    assert found.file.gates().check(np.zeros((112, 112, 3), np.uint8)).refusal is not None


def test_forty_fields_at_least() -> None:
    site = load_site(drawn_site(3, clean(slides=5, fields=4)))
    with pytest.raises(TooFewFieldsError, match="40 fields or more"):
        fit_site_gates(SMEAR, site.fields[:39], InputContract((112, 112), site.labels), np.zeros(39, np.intp), "x")
