"""``attnbench table --preset paper``: what it prints and what it refuses."""

from pathlib import Path

import pytest

RESULTS = Path(__file__).parents[2] / "results"


@pytest.mark.parametrize(
    ("options", "environment"), [((), "table"), (("--two-column",), "table*")], ids=["one", "two"]
)
def test_a_paper(attnbench, options, environment):
    done = attnbench("table", str(RESULTS / "fashion-accuracy"), "--preset", "paper", *options)
    assert done.out.startswith("% Tables of fashion-accuracy")
    assert f"\\begin{{{environment}}}\n" in done.out
    assert "SE & 1.68 &" in done.out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--preset", "papr"], "unknown --preset 'papr'. Did you mean 'paper'? Known: paper."),
        (["--two-column"], "--two-column is for papers. Give --preset paper as well"),
        (
            ["--preset", "paper", "--format", "md"],
            "--preset paper is LaTeX: got --format as well. Omit one of them",
        ),
    ],
)
def test_contradictions(attnbench, options, message):
    done = attnbench("table", str(RESULTS / "fashion-accuracy"), *options)
    assert (done.status, done.err) == (2, f"attnbench: {message}\n")


def test_an_unknown_column_is_named_with_the_known_ones(attnbench):
    run = str(RESULTS / "fashion-accuracy")
    done = attnbench("table", run, "--preset", "paper", "--columns", "differnce")
    assert done.status == 2
    assert "'differnce'. Did you mean 'difference'" in done.err


def test_a_figure_of_the_printed_ablation(attnbench, tmp_path):
    file = tmp_path / "groups.svg"
    done = attnbench(
        "table", str(RESULTS / "ulsam-ablation"), "--figure", "groups", "-o", str(file)
    )
    assert (done.status, done.out, done.err) == (0, "", f"wrote {file}\n")
    assert "<svg" in file.read_text()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            ["--figure", "group", "-o", "x.png"],
            "unknown --figure 'group'. Did you mean 'groups'? Known: groups, sites.",
        ),
        (["--figure", "groups"], "--figure needs a file: got groups without one. Give -o FILE.pdf"),
        (
            ["-o", "x.pdf"],
            "-o is for figures. Give --figure NAME as well, for example curves",
        ),
        (
            ["--figure", "sites", "-o", "x.gif"],
            "x.gif is no figure file: got suffix '.gif'. Choose from .png, .pdf, .svg.",
        ),
        (
            ["--figure", "sites", "-o", "x.pdf", "--format", "md"],
            "--figure draws: got --format as well. Omit one of them",
        ),
    ],
)
def test_mistakes_of_figures(attnbench, options, message):
    done = attnbench("table", str(RESULTS / "ulsam-ablation"), *options)
    assert (done.status, done.err) == (2, f"attnbench: {message}\n")


def test_a_run_without_figures(attnbench):
    done = attnbench("table", str(RESULTS / "ulsam-table1"), "--figure", "groups", "-o", "x.pdf")
    assert done.status == 2
    assert done.err.startswith("attnbench: the run has no figures: got --figure groups, but")
