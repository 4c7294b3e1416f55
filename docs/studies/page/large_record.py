"""A record of many slides and fields: how long each page and each list of the API takes.

    python -m docs.studies.page.large_record --out docs/reference/bench_large_record.json

The record is written by the generator of the tests; caches are filled by one request of each kind.
"""

import json as json_format
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from docs.studies.command import Study, output, run
from docs.studies.page.clients import spread
from edge.commands.command_line import Outcome
from edge.errors import ANSWER_IS_NO, DONE
from edge.system.option_values import whole_number
from tests.bench.asking import Api
from tests.bench.processes import Bench

LIMIT_MS = 300.0  # of the 95th percentile
_LOOKED_AT = 12  # slides whose own lists are asked for, spread over the record


def addresses(slides: list[str], labels: list[str], words: str) -> dict[str, list[str]]:
    """Kind of page or list to the addresses of it that are asked in turn."""
    api = "/api/v1"
    each: dict[str, list[str]] = {
        f"GET {path}": [path] for path in ("/", "/slides", "/controls", "/device", "/users", f"/slides/{slides[0]}")
    }
    each |= {f"GET {api}{path}": [f"{api}{path}"] for path in ("/state", "/labels", "/controls", "/trends", "/device")}
    each[f"GET {api}/slides"] = [f"{api}/slides?limit={limit}" for limit in (20, 50, 100)]
    each[f"GET {api}/slides?q="] = [f"{api}/slides?q={word}" for word in (slides[0], words, "no-such", "%", "1")]
    each[f"GET {api}/slides/SLIDE"] = [f"{api}/slides/{slide}" for slide in slides]
    fields = [f"{api}/slides/{slide}/fields" for slide in slides]
    each[f"GET {api}/slides/SLIDE/fields"] = fields
    each[f"GET {api}/slides/SLIDE/fields?order=suspicious"] = [f"{one}?order=suspicious" for one in fields]
    each[f"GET {api}/slides/SLIDE/fields?label="] = [f"{one}?label={label}" for one in fields for label in labels]
    each[f"GET {api}/slides/SLIDE/fields/1"] = [f"{one}/1" for one in fields]
    return each


def timed(api: Api, kinds: Mapping[str, list[str]], rounds: int) -> dict[str, dict[str, Any]]:
    """Milliseconds of each kind, asked in turn `rounds` times; an answer that is none is counted as an error."""
    took: dict[str, list[float]] = {kind: [] for kind in kinds}
    errors: dict[str, list[str]] = {kind: [] for kind in kinds}
    for number in range(rounds):
        for kind, each in kinds.items():
            address = each[number % len(each)]
            began = time.perf_counter()
            answer = api.client.get(f"{api.url}{address}")
            took[kind].append(1e3 * (time.perf_counter() - began))
            if answer.status_code != 200:
                errors[kind].append(f"{address}: {answer.status_code} {answer.text[:120]}")
    return {
        kind: {**spread(took[kind]), "errors": len(errors[kind]), "first_error": errors[kind][:1]} for kind in kinds
    }


def depths(api: Api, pages: int) -> dict[str, Any]:
    """The list of slides followed page by page: a cursor must not grow slower with depth."""
    took, cursor, slides = [], "", 0
    for _ in range(pages):
        began = time.perf_counter()
        page = api.get("/slides", limit=100, **({"cursor": cursor} if cursor else {}))
        took.append(1e3 * (time.perf_counter() - began))
        slides, cursor = slides + len(page["items"]), page["next"]
        if not cursor:
            break
    return {"slides": slides, "first_ms": round(took[0], 1), "last_ms": round(took[-1], 1), **spread(took)}


def measure(bench: Bench, rounds: int) -> dict[str, Any]:
    """All pages and lists of a bench whose record is there already."""
    api = bench.api()
    newest = [each["slide"] for each in api.get("/slides", limit=100)["items"]]
    chosen = newest[:: max(1, len(newest) // _LOOKED_AT)][:_LOOKED_AT]
    kinds = addresses(chosen, list(api.get("/labels")["labels"]), newest[-1][:3])
    timed(api, kinds, 1)  # opens files and fills caches as the first visitor does
    pages = timed(api, kinds, rounds)
    return {
        "rounds": rounds,
        "pages": pages,
        "slowest_p95_ms": max(each["p95"] for each in pages.values()),
        "through_all_slides": depths(api, 1000),
        "page_memory_mb": round(bench.resident_mb("page"), 1),
    }


@dataclass(frozen=True, kw_only=True)
class LargeRecordStudy(Study):
    slides: int
    fields: int
    rounds: int

    def execute(self) -> Outcome:
        from tests.edge.slides.records import large_record

        with tempfile.TemporaryDirectory() as folder, Bench(Path(folder)) as bench:
            began = time.monotonic()
            large_record(bench.record, self.slides, self.fields // self.slides)
            wrote = time.monotonic() - began
            bench.start()
            record = {
                "slides": self.slides,
                "fields": self.fields,
                "written_s": round(wrote, 1),
                **measure(bench, self.rounds),
            }
        quick = record["slowest_p95_ms"] <= LIMIT_MS and not any(p["errors"] for p in record["pages"].values())
        return self.finished(record, json_format.dumps(record, indent=1), DONE if quick else ANSWER_IS_NO)


def study(
    slides: str = "10000", fields: str = "1000000", rounds: str = "60", out: str = "", json: bool = False
) -> LargeRecordStudy:
    """Time every page and every list of the API over a large record.

    Args:
        slides: of the record.
        fields: of all slides together.
        rounds: requests of each kind.
        out: file for the record.
        json: print the record.
    """
    return LargeRecordStudy(
        slides=whole_number(slides, "--slides", at_least=1),
        fields=whole_number(fields, "--fields", at_least=1),
        rounds=whole_number(rounds, "--rounds", at_least=1),
        **output(out, json),
    )


if __name__ == "__main__":
    run({"run": study}, "run")
