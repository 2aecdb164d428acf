"""The papers of all committed runs compile: nothing too wide, too long or too small to read."""

import re
import subprocess
from pathlib import Path

import pytest

from attnbench.records.store import read_run
from attnbench.reports.paper.build_paper import build_paper
from attnbench.reports.paper.latex import PACKAGES, to_latex
from attnbench.reports.run_report import planned_of
from attnbench.reports.tables.build import build_report
from attnbench.reports.tables.render import render

from ...debian_packages import require_program

RUNS = sorted((Path(__file__).parents[3] / "results").glob("*/records.jsonl"))
SMALLEST = 7
"""Smallest size of type in points."""


@pytest.fixture(scope="module")
def planned():
    return {path.parent.name: planned_of(read_run(path)) for path in RUNS}


def compiled(folder, options, fragments, runs=1, packages=PACKAGES):
    """Compile an article of fragments and return LaTeX's log."""
    require_program("pdflatex")
    document = [
        rf"\documentclass{options}{{article}}",
        r"\usepackage[utf8]{inputenc}",
        rf"\usepackage{{{packages}}}",
        r"\begin{document}",
        "\\clearpage\n".join(fragments),
        r"\end{document}",
    ]
    (folder / "paper.tex").write_text("\n".join(document), encoding="utf-8")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "paper.tex"]
    for _ in range(runs):
        subprocess.run(command, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True)
    return (folder / "paper.log").read_text(encoding="utf-8", errors="replace")


def complaints(log):
    """Return LaTeX's lines on errors and on what does not fit."""
    return re.findall(r"^(?:!|Overfull|LaTeX Warning: Float too large).*", log, re.MULTILINE)


def sizes(log):
    """Return the sizes in points of the fonts in the document, of their files' names."""
    return {int(size) for size in re.findall(r"[a-z](\d+)\.pfb", log.replace("\n", ""))}


@pytest.mark.parametrize("two_column", [False, True], ids=["one column", "two columns"])
def test_the_papers_of_all_runs_compile(planned, tmp_path, two_column):
    fragments = [
        to_latex(build_paper(*run, two_column=two_column), name, two_column=two_column)
        for name, run in planned.items()
    ]
    assert all(r"\begin{" in text for text in fragments)
    # a long table finds its widths in the run before
    log = compiled(tmp_path, "[twocolumn]" * two_column, fragments, runs=1 if two_column else 2)
    assert "Output written on paper.pdf" in log
    assert complaints(log) == []
    assert min(sizes(log)) >= SMALLEST


def test_full_tables_compile(planned, tmp_path):
    few = ("quick", "ulsam-imagenet", "ulsam-table1", "fashion-accuracy")
    fragments = [render(build_report(*planned[name], {}), "tex") for name in few]
    packages = "amsmath,amssymb,booktabs,longtable,pdflscape"
    assert all(f"{{{packages}}}" in text for text in fragments)
    log = compiled(tmp_path, "", fragments, packages=packages)
    assert complaints(log) == []
    assert "Output written on paper.pdf" in log


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (r"\rule{400pt}{1pt}", "Overfull"),
        (r"\begin{table}\rule{1pt}{700pt}\end{table}", "Float too large"),
        (r"\undefined", "Undefined control sequence"),
    ],
)
def test_what_does_not_fit_is_found(tmp_path, text, found):
    assert [line for line in complaints(compiled(tmp_path, "", [text])) if found in line]


def test_small_type_is_found(tmp_path):
    assert min(sizes(compiled(tmp_path, "", [r"\tiny small"]))) < SMALLEST
