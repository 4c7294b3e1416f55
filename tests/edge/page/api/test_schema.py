"""The API's description, and requests made from it, right and wrong: no answer is a defect or undescribed."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import schemathesis
from fastapi import FastAPI
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from edge.page.app import create_app
from edge.page.http.config import PageConfig
from tests.edge.instrument.socket.fake import FakeInstrument
from tests.edge.page.served import served

CHECKS = [
    schemathesis.checks.not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
FIRST = "S-00001"


@pytest.fixture(scope="module")
def fuzz(small_record: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, FastAPI]]:
    with FakeInstrument(tmp_path_factory.mktemp("s") / "i.sock") as instrument:
        app = create_app(PageConfig(small_record, instrument.path, demo=True))
        with served(app) as (base, _):
            yield base, app


def fuzzed(fuzz: tuple[str, FastAPI], examples: int) -> int:
    """How many requests were answered; each by what the description says of it."""
    base, app = fuzz
    csrf = httpx.get(f"{base}/api/v1/session").json()["csrf"]
    schema = schemathesis.openapi.from_dict(app.openapi())
    schema.config.update(base_url=base)
    answered = 0
    for result in schema.get_all_operations():
        operation = result.ok()

        @settings(
            max_examples=examples, deadline=None, database=None, derandomize=True, phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )  # fmt: skip
        @given(case=operation.as_strategy())
        def ask(case: Any) -> None:
            nonlocal answered
            response = case.call(headers={"X-Leukoscope-CSRF": csrf})
            case.validate_response(response, checks=CHECKS)
            answered += 1

        ask()
    return answered


def test_no_request_ends_in_a_defect(fuzz: tuple[str, FastAPI]) -> None:
    assert fuzzed(fuzz, 4) > 80


@pytest.mark.slow
def test_no_request_of_many_does(fuzz: tuple[str, FastAPI]) -> None:
    assert fuzzed(fuzz, 60) > 1000
