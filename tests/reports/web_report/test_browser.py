"""The interactive report in a real browser, from a file and without a network."""

import csv
import io
import json
import random
from pathlib import Path
from urllib.parse import parse_qs

import pytest

from attnbench.records.store import find_run, read_run
from attnbench.reports.web_report.report_data import report_data
from attnbench.reports.web_report.report_page import render_page, write_page

from ...debian_packages import require_program
from ...test_pages import RESULTS

HOSTILE = "<img src=x onerror=alert(1)></script><script>window.hacked=1</script>"
ORT = "mobilenet_v2|onnxruntime|"
RUNS = ("mobilenet-latency", "digits-accuracy")


@pytest.fixture(scope="module")
def chromium():
    require_program("chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path="/usr/bin/chromium", args=["--no-sandbox"]
        )
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def data():
    """The rows with their values by metric."""
    found = report_data([read_run(find_run(str(RESULTS / name))) for name in RUNS])
    return {"rows": list(found.rows.values())}


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("report") / "report.html"
    write_page([read_run(find_run(str(RESULTS / name))) for name in RUNS], path)
    return path


class Page:
    """A page that keeps what it reports and asks for."""

    def __init__(self, browser, path, fragment="", **options):
        self.page = browser.new_page(**options)
        self.troubles, self.requests = [], []
        self.page.on("console", lambda message: self.troubles.append(message.text))
        self.page.on("pageerror", lambda error: self.troubles.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(f"file://{path}{fragment}")
        self.page.wait_for_selector("html[data-ready]")

    def names(self):
        return self.page.eval_on_selector_all(
            "tbody tr td:first-child", "all => all.map(e => e.innerText)"
        )

    def fragment(self):
        return {key: value[0] for key, value in parse_qs(self.page.url.partition("#")[2]).items()}


@pytest.fixture
def page(chromium, file):
    opened = Page(chromium, file)
    yield opened
    assert opened.troubles == []
    assert [url for url in opened.requests if not url.startswith(("data:", "blob:"))] == [
        f"file://{file}"
    ]
    opened.page.close()


def test_the_file_is_small(file):
    assert file.stat().st_size < 1_000_000


def test_it_begins_with_all_rows_of_a_place(page, data):
    place = page.page.input_value("#place")
    assert len(page.names()) == sum(row["place"] == place for row in data["rows"])
    assert page.page.locator("#plot svg").count() >= 1


def test_a_budget_leaves_what_fits_in_the_order_of_choose(page, data):
    page.page.select_option("#budget1", ORT)
    rows = {
        row["module"]: row
        for row in data["rows"]
        if row["place"] == page.page.input_value("#place")
    }
    fits = {
        name
        for name, row in rows.items()
        if name == "plain" or (ORT in row["values"] and row["values"][ORT][2] <= 5)
    }
    assert set(page.names()) == fits and len(fits) > 5
    assert page.fragment()["budget1"] == ORT


def test_a_column_sorts_both_ways_with_missing_values_last(page):
    click = f'[data-sort="{ORT}"]'
    page.page.click(click)
    up = page.names()
    page.page.click(click)
    down = page.names()
    assert sorted(up) == sorted(down) and up != down
    assert page.page.get_attribute(f"th:has({click})", "aria-sort") == "descending"


def test_a_text_filters(page):
    page.page.fill("#text", "large-kernel")
    assert set(page.names()) == {"lka", "lska", "lsk", "msca", "caa", "cpca"}


def test_a_runtime_leaves_its_columns(page):
    heads = "all => all.map(e => e.innerText.split(' ')[0].replace(',', ''))"
    overheads = {"Eager", "ORT", "Openvino"}
    assert overheads <= set(page.page.eval_on_selector_all("[data-sort]", heads))
    page.page.select_option("#runtime", "ONNX Runtime")
    assert overheads & set(page.page.eval_on_selector_all("[data-sort]", heads)) == {"ORT"}


def test_a_link_shows_the_same(page, chromium, file):
    page.page.fill("#text", "channel")
    page.page.check("#logx")
    page.page.click('[data-sort="module"]')
    page.page.click("#theme")
    other = Page(chromium, file, "#" + page.page.url.partition("#")[2])
    assert other.names() == page.names()
    assert other.page.is_checked("#logx")
    assert other.page.get_attribute("html", "data-theme") == page.page.get_attribute(
        "html", "data-theme"
    )
    other.page.close()


@pytest.mark.parametrize("kind", ["csv", "json", "bib", "svg", "png"])
def test_downloads(page, kind):
    with page.page.expect_download() as saved:
        page.page.click(f'[data-save="{kind}"]')
    content = Path(saved.value.path()).read_bytes()
    if kind == "csv":
        rows = list(csv.DictReader(io.StringIO(content.decode())))
        assert [row["module"] for row in rows] == page.names()
    elif kind == "json":
        assert len(json.loads(content)) == len(page.names())
    else:
        begins = {"bib": b"@", "svg": b"<svg", "png": b"\x89PNG"}
        assert content.startswith(begins[kind])


def test_the_page_of_a_module(page):
    page.page.click('[data-module="se"]')
    text = page.page.inner_text("#module")
    for part in ("Squeeze-and-excitation", "hu2018squeeze", "sigmoid(W2 relu(W1 z))", "no biases"):
        assert part in text
    page.page.keyboard.press("Escape")
    assert not page.page.is_visible("#module")


def test_a_phone_shows_it_without_scrolling_sideways(chromium, file):
    phone = Page(chromium, file, viewport={"width": 390, "height": 800})
    assert phone.page.evaluate("document.documentElement.scrollWidth") <= 390
    phone.page.close()


def test_dark_follows_the_system(chromium, file):
    dark = Page(chromium, file, color_scheme="dark")
    color = dark.page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert color == "rgb(22, 24, 27)"
    dark.page.close()


def place_of(own, points):
    """Where a point is: (x, low, high) and (y, low, high), less is better on both."""
    others = [other for other in points if other is not own]
    if any(x[2] < own[0][1] and y[2] < own[1][1] for x, y in others):
        return "dominated"
    weakly = [other for other in others if other[0][0] <= own[0][0] and other[1][0] <= own[1][0]]
    beaten = any(x[0] < own[0][0] or y[0] < own[1][0] for x, y in weakly)
    return "not separated" if beaten else "front"


def test_the_front_respects_intervals(page):
    draw = random.Random(0)
    points = []
    for _ in range(60):
        middle, reach = (
            [draw.uniform(0, 9) for _ in range(2)],
            [draw.uniform(0, 2) for _ in range(2)],
        )
        points.append([(m, m - r, m + r) for m, r in zip(middle, reach, strict=True)])
    rows = [{"values": {"a": x, "b": y}} for x, y in points]
    found = page.page.evaluate("rows => frontOf(rows, 'a', 'b')", rows)
    assert found == [place_of(own, points) for own in points]
    assert set(found) == {"front", "not separated", "dominated"}


def test_hostile_names_run_nothing(chromium, tmp_path):
    metric = {"key": HOSTILE, "label": HOSTILE, "kind": "overhead", "backbone": HOSTILE,
              "at": [0], "parts": [[1.0], [0.5], [1.5], [HOSTILE], [HOSTILE]]}  # fmt: skip
    row = {
        "module": HOSTILE,
        "family": HOSTILE,
        "place": HOSTILE,
        "sites": 1,
    }
    card = {"title": HOSTILE, "bibtex": HOSTILE}
    run = {"name": HOSTILE, "title": HOSTILE, "machine": HOSTILE, "date": "", "commit": "",
           "versions": {HOSTILE: "1"}, "notes": [HOSTILE]}  # fmt: skip
    data = {"metrics": [metric], "rows": [row], "cards": {HOSTILE: card}, "runs": [run]}
    path = tmp_path / "hostile.html"
    path.write_text(render_page(data, HOSTILE))
    page = Page(chromium, path)
    page.page.click("[data-module]")
    page.page.wait_for_timeout(50)
    assert page.page.evaluate("window.hacked") is None
    assert page.troubles == [] and page.names() == [HOSTILE]
    page.page.close()
