"""The shipped record files are what their types say: read and written again they are the same bytes."""

import json
from pathlib import Path

import pytest

from models.data.published import TRAINED, trained
from models.errors import ModelsError
from models.evaluation.metrics import Evaluation
from models.report.model_records import FILES
from models.support.provenance import Provenance
from models.support.records import as_json, read_record

CASES = [
    *((stem, file.kind, file.judged) for stem, file in FILES.items()),
    ("evaluation_random_split", Evaluation, True),
]


@pytest.mark.parametrize("network", TRAINED)
@pytest.mark.parametrize(("stem", "kind", "judged"), CASES, ids=[case[0] for case in CASES])
def test_a_shipped_record_written_again_is_the_same(network: str, stem: str, kind: type, judged: bool) -> None:
    path = trained(network) / f"{stem}.json"
    parts = [read_record(path, part, "models", ModelsError) for part in ((Provenance, kind) if judged else (kind,))]
    assert json.dumps(as_json(*parts), indent=1, allow_nan=False) + "\n" == path.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"images": "many"}, r"evaluation\.json is not as `models evaluate` writes it: .*int.*\$\.images"),
        ({"accuracy_interval": [0.9, 0.1]}, r"low <= high.*\$\.accuracy_interval"),
        ({"classes": {"Benign": {}}}, r"`images` - at `\$\.classes"),
    ],
)
def test_the_path_of_what_is_wrong_is_named(tmp_path: Path, change: dict[str, object], message: str) -> None:
    path = tmp_path / "evaluation.json"
    record = json.loads((trained("custom_cnn") / "evaluation.json").read_bytes())
    path.write_text(json.dumps({**record, **change}))
    with pytest.raises(ModelsError, match=message):
        read_record(path, Evaluation, "models evaluate", ModelsError)
