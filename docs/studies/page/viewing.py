"""What viewers of the live page cost and see: memory, processor time, the first paint, and the age of what is shown.

    python -m docs.studies.page.viewing --out docs/reference/bench_page.json

The frames of the drawn microscope carry a strip with their time (`sim:?counter=1`), which is read on the browser's
canvas after it was drawn. What viewers take from the pipeline's rate is measured by `edge bench --watchers 10`, whose
figures are in the record too.
"""

import asyncio
import json as json_format
import os
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playwright.sync_api import Page

from docs.studies.command import Study, output, run
from docs.studies.page.clients import crowd, spread
from edge.cameras.simulation.counter_strip import COLUMNS, HEIGHT, ROWS
from edge.commands.command_line import Outcome
from edge.system.option_values import whole_number
from tests.bench.asking import Api
from tests.bench.browser import browsing, context
from tests.bench.processes import BUNDLE, Bench
from tests.bench.technician import Technician
from tests.commands import command

CAMERA = "sim:Early?fps=20&motion=0.1&focus_drift=0&empty=0&counter=1"
SLICE_S, SLICES, VIEWERS = 6.0, 5, 10
_PAINTS = 10

# For each picture that is drawn: milliseconds since it was exposed, by the strip in its own pixels.
WATCH_STRIP = f"""
(pictures) => new Promise((done) => {{
  const canvas = document.getElementById("canvas");
  const brush = canvas.getContext("2d");
  const ages = [];
  const read = () => {{
    const now = Date.now();
    const {{ width, height }} = canvas;
    const data = brush.getImageData(0, 0, width, Math.ceil(height * {ROWS} / {HEIGHT})).data;
    let bits = "";
    for (let row = 0; row < {ROWS}; row += 1)
      for (let column = 0; column < {COLUMNS}; column += 1) {{
        const y = Math.floor((row + 0.5) * height / {HEIGHT});
        const x = Math.floor((column + 0.5) * width / {COLUMNS});
        bits += data[4 * (y * width + x) + 1] > 127 ? "1" : "0";
      }}
    ages.push(now - parseInt(bits.slice(32, 80), 2));
    if (ages.length >= pictures) {{
      watcher.disconnect();
      done(ages);
    }}
  }};
  const watcher = new MutationObserver(read);
  watcher.observe(canvas, {{ attributes: true, attributeFilter: ["data-sequence"] }});
}})
"""


def first_paints(page: Page, url: str) -> list[float]:
    """Milliseconds from the start of the navigation to the first contentful paint of the bench."""
    found = []
    for _ in range(_PAINTS):
        page.goto(f"{url}/")
        # Waiting with a function would evaluate a string within the page, which its policy forbids.
        while (
            painted := page.evaluate("performance.getEntriesByName('first-contentful-paint')[0]?.startTime")
        ) is None:
            page.wait_for_timeout(20)
        found.append(float(painted))
    return found


def memory(pid: int) -> dict[str, float]:
    """Of a process, MB of 2**20 bytes: resident, its share of what it has in common with others, and its own."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    kib = {line.split(":")[0]: int(line.split()[1]) for line in lines}
    own = kib["Private_Clean"] + kib["Private_Dirty"]
    return {name: round(value / 1024, 1) for name, value in (("rss", kib["Rss"]), ("pss", kib["Pss"]), ("own", own))}


def shares(bench: Bench, api: Api) -> dict[str, Any]:
    """Processor time a second of page and instrument, in alternate slices without a viewer and with `VIEWERS`."""
    found: dict[str, dict[str, list[float]]] = {which: {"none": [], "viewers": []} for which in ("page", "instrument")}
    held: dict[str, dict[str, float]] = {}
    for number in range(2 * SLICES):
        kind = "viewers" if number % 2 else "none"
        before, began = {which: bench.cpu_s(which) for which in found}, time.monotonic()
        if kind == "viewers":
            asyncio.run(crowd(bench.url, SLICE_S, readers=0, watchers=VIEWERS, slow=False, headers=api.headers))
        else:
            time.sleep(SLICE_S)
        took = time.monotonic() - began
        for which, each in found.items():
            each[kind].append((bench.cpu_s(which) - before[which]) / took)
        assert bench.page is not None
        held[kind] = memory(bench.page.pid)
    return {
        "processor_share": {
            which: {kind: round(sorted(all_)[len(all_) // 2], 4) for kind, all_ in each.items()}
            for which, each in found.items()
        },
        "page_memory_mb": held,
    }


def pipeline_cost() -> Any:
    """What `edge bench --watchers 10` says of them."""
    words = [
        *command("edge"),
        "bench",
        "--bundle",
        str(BUNDLE),
        "--frames",
        "100",
        "--watchers",
        str(VIEWERS),
        "--json",
    ]
    done = subprocess.run(words, capture_output=True, text=True, check=True, timeout=1200)
    return json_format.loads(done.stdout)["details"]["watchers"]


@dataclass(frozen=True, kw_only=True)
class ViewingStudy(Study):
    pictures: int

    def execute(self) -> Outcome:
        load_before = os.getloadavg()[0]
        with tempfile.TemporaryDirectory() as folder, Bench(Path(folder), CAMERA, (1280, 960)) as bench:
            costs = shares(bench, bench.start().api())
            paints, ages = self._seen(bench)
        record = {
            "load_average": {"before": round(load_before, 1), "after": round(os.getloadavg()[0], 1)},
            "processors": os.cpu_count(),
            "viewers": VIEWERS,
            "first_paint_ms": spread(paints),
            "glass_to_page_ms": spread(ages),
            **costs,
            "pipeline": pipeline_cost(),
        }
        return self.finished(record, json_format.dumps(record, indent=1))

    def _seen(self, bench: Bench) -> tuple[list[float], list[float]]:
        """(first paints, ages of pictures), milliseconds, in a browser."""
        with browsing() as browser, context(browser) as visitor:
            one = Technician(visitor.new_page(), bench.url)
            one.logs_in()
            paints = first_paints(one.page, bench.url)
            one.watches()
            return paints, [float(age) for age in one.page.evaluate(WATCH_STRIP, self.pictures)]


def study(pictures: str = "200", out: str = "", json: bool = False) -> ViewingStudy:
    """Measure what ten viewers cost, and how old the pictures are that one of them sees.

    Args:
        pictures: whose age is read.
        out: file for the record.
        json: print the record.
    """
    return ViewingStudy(pictures=whole_number(pictures, "--pictures", at_least=1), **output(out, json))


if __name__ == "__main__":
    run({"run": study}, "run")
