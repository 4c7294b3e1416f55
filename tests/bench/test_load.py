"""Many clients at once, and a large record: some of what `python -m docs.studies.page.load` and `large_record` do."""

from collections.abc import Iterator

import pytest

from docs.studies.page.clients import spread
from docs.studies.page.large_record import LIMIT_MS, measure
from docs.studies.page.load import bore, loaded
from tests.bench.processes import Bench
from tests.edge.slides.records import large_record

pytestmark = pytest.mark.slow


@pytest.fixture
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with Bench(tmp_path_factory.mktemp("bench")) as made:
        yield made


def test_fifty_clients_and_one_who_reads_a_byte_a_second(bench: Bench) -> None:
    record = loaded(bench.start(), 30, clients=50)
    assert bore(record), record
    assert record["requests"] > 500 and record["previews"] > 500 and record["slow_reader_bytes"] > 5


def test_pages_and_lists_of_a_large_record_are_quick(bench: Bench) -> None:
    large_record(bench.record, 500, 40)
    record = measure(bench.start(), rounds=20)
    assert record["slowest_p95_ms"] <= LIMIT_MS, record
    assert not any(each["errors"] for each in record["pages"].values()), record
    assert record["through_all_slides"]["slides"] == 500


def test_growth_errors_and_damage_would_be_found() -> None:
    """Negative control."""
    good = {
        "memory_mb": {"page": {"settled": 90.0, "end": 91.0}},
        "errors": 0,
        "record_sound": True,
        "previews": 1,
    }
    assert bore(good)
    bad = {"memory_mb": {"page": {"settled": 90.0, "end": 120.0}}, "errors": 1, "record_sound": False, "previews": 0}
    assert not any(bore({**good, name: value}) for name, value in bad.items())


def test_spread_is_by_hand() -> None:
    assert spread([]) == {"count": 0}
    assert spread([float(n) for n in range(1, 101)]) == {"count": 100, "median": 50.5, "p95": 96.0, "largest": 100.0}
