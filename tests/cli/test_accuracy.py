"""``attnbench accuracy``, ``maps`` and ``list datasets`` as a user sees them, on computed pictures."""

import json

import pytest
from PIL import Image

from ..tiny_recipe import tiny_recipe

NET = ("-b", "mobilenet_v2,width=0.1", "--dataset", "synthetic,count=64")
ARM = ("-m", "se", "-p", "after:14")


@pytest.fixture
def recipe(tmp_path):
    path = tmp_path / "tiny.toml"
    path.write_text(tiny_recipe(epochs=1, stem=True))
    return ("--recipe", path)


@pytest.mark.usefixtures("worker_here")
def test_paired_seeds_resumed_and_drawn(attnbench, recipe, tmp_path):
    words = ("accuracy", *NET, *ARM, *recipe, "--seeds", "2", "--save", "kept")
    done = attnbench(*words, "--json")
    assert done.status == 0, done.err
    assert [one["seed"] for one in done.json["seeds"]] == [0, 1]
    assert {"seed", "top1", "top5"} <= set(done.json["plain"][0])
    assert {"mean", "low", "high", "verdict"} <= set(done.json["difference"])
    pairs = zip(done.json["seeds"], done.json["plain"], strict=True)
    mean = sum(own["top1"] - plain["top1"] for own, plain in pairs) / 2
    assert done.json["difference"]["mean"] == pytest.approx(mean)
    assert done.json["synthetic"]
    assert "2 seeds" in done.err
    # again: nothing is trained, and a third seed only adds to it
    again = attnbench(*words)
    assert "0 of 4 cases to measure, 4 already measured" in again.err
    assert "synthetic pictures" in again.out
    weights = next(path for path in (tmp_path / "kept").iterdir() if "_se_" in path.name)
    given = ("--dataset", "synthetic,count=64", *recipe, "--weights", weights, "--image", "3")
    drawn = attnbench("activations", *NET[:2], *ARM, *given, "-o", "maps.png")
    assert drawn.status == 0, drawn.err
    with Image.open(tmp_path / "maps.png") as picture:
        assert picture.width > 500
    given = (*given[:-1], "none.png")
    drawn = attnbench("activations", *NET[:2], *ARM, *given, "-o", "maps.png")
    assert drawn.status == 2
    assert "none.png" in drawn.err.splitlines()[-1]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "-b"),
        ((*NET, "-m", "se"), "(-p): got none for 'se'"),
        ((*NET, *ARM, "--dataset", "digit"), "'digits'"),
        ((*NET, *ARM, "--recipe", "fast"), "'fast'"),
        ((*NET, *ARM, "--executor", "slurm"), "'slurm'"),
        ((*NET, *ARM, "--dataset", "cifar10"), "cifar-10-binary.tar.gz"),
        ((*NET, *ARM, "--dataset", "folder:nowhere"), "nowhere"),
        ((*NET, *ARM, "--weights", "none.pt"), "none.pt"),
        ((*NET, *ARM, "--weights", "junk.pt", "--dataset", "digits"), "junk.pt"),
        ((*NET, *ARM, "--dataset", "digits", "-p", "replace:3"), "layer 3"),
    ],
)
def test_mistakes_end_in_a_line_and_status_2(attnbench, monkeypatch, tmp_path, words, said):
    monkeypatch.setenv("ATTNBENCH_DATA", str(tmp_path / "none"))
    (tmp_path / "junk.pt").write_text("junk")
    done = attnbench("accuracy", *words)
    assert done.status == 2
    assert said in done.err
    assert "Traceback" not in done.err
    assert len(done.err.strip().splitlines()) <= 3


def test_data_sets_are_listed_with_where_to_get_them(attnbench, monkeypatch, tmp_path):
    monkeypatch.setenv("ATTNBENCH_DATA", str(tmp_path / "none"))
    rows = {row["name"]: row for row in json.loads(attnbench("list", "datasets", "--json").out)}
    assert rows["digits"]["available"]
    assert "data.vision.ee.ethz.ch" in rows["food101"]["missing"]
    assert "folder:PATH" in rows
    assert "download" in attnbench("list", "datasets").out
