"""``attnbench accuracy``, ``maps`` and ``list datasets`` as a user sees them, on computed pictures."""

import json

import pytest
import torch
from PIL import Image

from attnbench.models.backbones import create_backbone

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
    assert done.json["sites"] == 1
    assert "2 seeds" in done.err
    # again: nothing is trained, and a third seed only adds to it
    again = attnbench(*words)
    assert "0 of 4 cases to measure, 4 already measured" in again.err
    assert "synthetic pictures" in again.out
    assert "after:14 (1 site)" in again.out
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


@pytest.fixture
def photos(tmp_path):
    """Write images of 8 classes, four for training and one for testing, into two split folders."""

    def write(folder, train, test, classes=8):
        for split, count in ((train, 4), (test, 1)):
            for label in range(classes):
                for number in range(count):
                    path = tmp_path / folder / split / f"n{label:08}" / f"{number}.JPEG"
                    path.parent.mkdir(parents=True, exist_ok=True)
                    Image.new("RGB", (16, 16), (label * 30, 90, number * 9)).save(path)
        return tmp_path / folder

    return write


@pytest.mark.usefixtures("worker_here")
def test_eight_classes_of_imagenet_start_from_weights_of_a_thousand(
    attnbench, recipe, photos, tmp_path, monkeypatch
):
    monkeypatch.setenv("ATTNBENCH_DATA", str(photos("data/imagenet", "train", "val").parent))
    state = create_backbone("mobilenet_v2,width=0.1").state_dict()
    state = {f"backbone.{key}": value for key, value in state.items()}
    torch.save({"state_dict": state, "epoch": 3}, tmp_path / "weights.ckpt")
    words = (*NET[:2], "--dataset", "imagenet", "--seeds", "1", "--weights", "weights.ckpt")
    done = attnbench("accuracy", *words, *recipe, "--json")
    assert done.status == 0, done.err
    assert (done.json["classes"], done.json["images"]) == (8, [32, 8])
    assert done.json["seeds"][0]["top5"] is not None
    assert "(1000 classes there, 8 here)" in done.json["seeds"][0]["weights"]
    (note,) = done.json["notes"]
    assert note.startswith("8 classes, 32 training and 8 validation images; published are 1,000 ")
    assert f"imagenet: {note}" in done.err
    assert f"imagenet: {note}." in attnbench("accuracy", *words, *recipe).out


@pytest.mark.usefixtures("worker_here")
def test_own_images_in_folders_and_by_a_table(attnbench, recipe, photos, tmp_path):
    folder = photos("mine", "training", "Valid", classes=2)
    (folder / "training" / "n00000000" / "x.HEIC").touch()
    rows = [f"{path.relative_to(folder)};{path.parent.name}" for path in folder.rglob("*.JPEG")]
    (tmp_path / "labels.csv").write_text("file;class\n" + "\n".join(rows))
    words = ("accuracy", *NET[:2], *recipe, "--seeds", "1", "--json", "--dataset", "folder:mine")
    done = attnbench(*words)
    assert done.json["images"] == [8, 2]
    assert done.json["seeds"][0]["top5"] is None
    assert "1 file left out: 1 .HEIC (no reader" in done.json["notes"][0]
    assert done.err.count("left out") == 1
    done = attnbench(*words, "--labels", "labels.csv")
    assert done.json["images"] == [8, 2]
    assert done.json["dataset"] == "folder:mine,labels=labels.csv"
    assert done.json["notes"] == ["labels of labels.csv"]


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
        ((*NET, *ARM, "--dataset", "folder:.", "--labels", "none.csv"), "none.csv"),
        ((*NET, *ARM, "--dataset", "digits", "--labels", "none.csv"), "got 'digits'"),
        ((*NET, *ARM, "--weights", "none.pt"), "none.pt"),
        ((*NET, *ARM, "--weights", "none.pt:ema"), "none.pt:ema"),
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
