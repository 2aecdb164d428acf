"""The interactive report: size of the file, and time of filter and front in a browser.

    python benchmarks/report.py [--rows 2000] [--tries 20] [--smoke]

Rows of a committed run are repeated at other placements up to ``--rows``. Measured in Debian's
chromium: what a change of a filter takes to filter, order and place all rows on the front, and what
it takes in all, with the table and the scatter drawn.
"""

from __future__ import annotations

import statistics
import tempfile
from pathlib import Path
from typing import Any

from command_line import Parser, count, run

from attnbench.errors import RequestError
from attnbench.records.store import find_run, read_run
from attnbench.reports.web_report.report_data import report_data
from attnbench.reports.web_report.report_page import render_page

RUNS = ("mobilenet-latency", "digits-accuracy")
RESULTS = Path(__file__).parents[1] / "results"
TIMED = """() => {
  state.place = ""; state.all = !state.all;
  const start = performance.now(); draw();
  return [timing, performance.now() - start, shown.length];
}"""


def main() -> None:
    """Print size and times."""
    parser = Parser(__doc__, rows=100, tries=1)
    parser.add_argument("--rows", type=count, default=2000)
    parser.add_argument("--tries", type=count, default=20)
    parser.add_argument("--chromium", default="/usr/bin/chromium", help="the browser")
    options = parser.read()
    if not Path(options.chromium).exists():
        raise RequestError(f"no browser at {options.chromium}: --chromium FILE names one")
    data = report_data([read_run(find_run(str(RESULTS / name))) for name in RUNS])
    rows = list(data.rows.values())
    data.rows = {(str(i), ""): repeated(rows, i) for i in range(options.rows)}
    page = render_page(data.to_json(), "report")
    print(f"{options.rows:,} rows  {len(page.encode()) / 1000:,.0f} kB, one file")
    times = timed(page, options.chromium, options.tries)
    for name, values in zip(("filter and front", "with table and scatter"), times, strict=True):
        print(f"  {name:24} {statistics.median(values):.1f} ms (median of {len(values)})")


def repeated(rows: list[dict[str, Any]], number: int) -> dict[str, Any]:
    """Return a row at a placement of its repetition, every value a little greater."""
    row, repetition = rows[number % len(rows)], number // len(rows)
    values = {
        key: [
            float(f"{part * (1 + 0.01 * repetition):.4g}") if type(part) is float else part
            for part in value
        ]
        for key, value in row["values"].items()
    }
    return {**row, "place": f"{row['place']} {repetition}", "values": values}


def timed(page: str, chromium: str, tries: int) -> tuple[list[float], list[float]]:
    """Return the milliseconds of filter and front, and of all, of each try."""
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        file = Path(folder) / "report.html"
        file.write_text(page, encoding="utf-8")
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        opened = browser.new_page()
        opened.goto(f"file://{file}")
        opened.wait_for_selector("html[data-ready]")
        found = [opened.evaluate(TIMED) for _ in range(tries)]
        browser.close()
    return [first for first, _, _ in found], [every for _, every, _ in found]


if __name__ == "__main__":
    run(main)
