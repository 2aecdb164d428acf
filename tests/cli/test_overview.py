"""``attnbench overview``: on real runs of costs, and into a file."""

import shutil

import pytest

from attnbench.reports.overview.build_overview import BEGIN, END

SUITE = """
[suite]
name = "NAME"
title = "Mine"
[[table]]
columns = ["params"]
[[table.row]]
backbone = "mobilenet_v2"
[[table.row]]
backbone = "mobilenet_v2"
module = ["se", "eca"]
placement = "PLACE"
"""


@pytest.fixture(scope="module")
def measured(tmp_path_factory, run_here):
    folder = tmp_path_factory.mktemp("measured")
    for name, place in (("one", "after:14"), ("two", "official")):
        text = SUITE.replace("NAME", name).replace("PLACE", place)
        (folder / f"{name}.toml").write_text(text)
    run_here(folder, "run", "one.toml", "two.toml", "--out", "runs")
    return folder


@pytest.fixture
def runs(attnbench, tmp_path, measured):
    shutil.copytree(measured, tmp_path, dirs_exist_ok=True)


def test_modules_of_both_runs(attnbench, runs):
    done = attnbench("overview", "one", "two", "--out", "runs", "--json")
    assert done.status == 0
    found = [(one["placement"], one["module"], one["family"]) for one in done.json]
    assert found == [
        ("after:14", "eca", "channel"),
        ("after:14", "se", "channel"),
        ("official", "eca", "channel"),
        ("official", "se", "channel"),
    ]


def test_placements_are_chosen_in_order(attnbench, runs):
    words = ("overview", "runs/one", "runs/two", "-p", "official", "--format", "md")
    done = attnbench(*words)
    assert done.status == 0
    assert "## At official" in done.out
    assert "after:14" not in done.out


def test_into_a_file_and_checked(attnbench, runs, tmp_path):
    page = tmp_path / "page.md"
    page.write_text(f"# Mine\n{BEGIN}\n{END}\nEnd.\n")
    words = ("overview", "runs/one", "--into", "page.md")
    assert attnbench(*words, "--check").status == 1
    assert attnbench(*words).status == 0
    assert "| se | channel | Hu, CVPR'18 | +1,254 |" in page.read_text()
    assert page.read_text().endswith(f"{END}\nEnd.\n")
    assert attnbench(*words, "--check").status == 0
    page.write_text(page.read_text().replace("1,254", "1,255"))
    done = attnbench(*words, "--check")
    assert done.status == 1
    assert "page.md" in done.err
    assert "1,255" in page.read_text()


def test_a_picture_of_one_place(attnbench, runs, tmp_path):
    assert attnbench("overview", "runs/one", "-o", "one.png").status == 0
    assert (tmp_path / "one.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("overview", "runs/one", "runs/two", "-o", "x.png"), "after:14, official"),
        (("overview", "runs/one", "-o", "x.gif"), ".svg"),
        (("overview", "nowhere"), "nowhere/records.jsonl"),
        (("overview", "runs/one", "-p", "after:2"), "after:14"),
        (("overview", "runs/one", "-o", "x.png", "--figure", "overhead"), "no accuracy"),
        (("overview", "runs/one", "--figure", "macs"), "-o FILE.pdf"),
        (("overview", "runs/one", "--check"), "--into"),
        (("overview", "runs/one", "--into", "absent.md"), "absent.md"),
        (("overview", "runs/one", "--into", "one.toml"), "<!-- attnbench overview -->"),
        (("overview", "runs/one", "--format", "pdf"), "pdf"),
        (("overview", "runs/one", "--into", "one.toml", "--json"), "--into"),
    ],
)
def test_mistakes_are_one_line_and_status_2(attnbench, runs, words, said):
    done = attnbench(*words)
    assert done.status == 2
    assert said in done.err
    assert "Traceback" not in done.err
