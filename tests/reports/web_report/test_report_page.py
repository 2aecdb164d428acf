"""The vendored libraries of the report, and the command."""

import hashlib
from importlib.resources import files

import pytest

from attnbench.reports.web_report.report_page import LIBRARIES

VENDOR = files("attnbench.reports.web_report").joinpath("assets", "vendor")
PINNED = {
    "d3.min.js": (
        "d3 7.9.2, dist/d3.min.js",
        "912111098ea99503a6f4967361d2bbdc9dbf58cf9c678c8e27e5b02d1a07f0c1",
    ),
    "plot.umd.min.js": (
        "@observablehq/plot 0.6.17, dist/plot.umd.min.js",
        "4358086467740777dd788d6b27a95cebdbaefdd50c730a3060117073bd7134cb",
    ),
    "table-core.min.js": (
        "@tanstack/table-core 8.21.3, build/umd/index.production.js",
        "a0d1d4531c0c4ae7cdaec01f217c724aa969cacaff7f7d8971c334ac97500379",
    ),
}


@pytest.mark.parametrize("name", LIBRARIES)
def test_a_library_is_the_pinned_one_with_its_licence(name):
    assert hashlib.sha256(VENDOR.joinpath(name).read_bytes()).hexdigest() == PINNED[name][1]
    licence = VENDOR.joinpath(f"{name.split('.')[0]}.LICENSE").read_text()
    assert "ermission" in licence and "opyright" in licence


def test_there_is_no_other_file():
    found = {file.name for file in VENDOR.iterdir()}
    assert found == set(LIBRARIES) | {f"{name.split('.')[0]}.LICENSE" for name in LIBRARIES}
