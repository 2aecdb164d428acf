"""Tiny data sets in the published layouts; the published counts are set to theirs."""

import numpy as np
import pytest
from scipy.io import savemat

from attnbench.datasets.registry import load
from attnbench.datasets.split_lists import Cub200, Food101, StanfordDogs
from attnbench.errors import RequestError


def food(root, picture):
    folder = root / "food-101"
    splits = {
        "train": ["waffles/10", "apple_pie/11", "apple_pie/12"],
        "test": ["apple_pie/20", "waffles/21"],
    }
    (folder / "meta").mkdir(parents=True)
    for split, files in splits.items():
        (folder / "meta" / f"{split}.txt").write_text("".join(f"{file}\n" for file in files))
        for file in files:
            picture(folder / "images" / f"{file}.jpg", (int(file[-2:]),) * 3, quality=100)
    return folder


def birds(root, picture):
    folder = root / "CUB_200_2011"
    files = {
        1: ("001.Albatross/A_10.jpg", 1, 1),
        2: ("001.Albatross/A_20.jpg", 1, 0),
        3: ("002.Wren/W_11.jpg", 2, 1),
        4: ("002.Wren/W_12.jpg", 2, 1),
        5: ("002.Wren/W_21.jpg", 2, 0),
    }
    for file, _, _ in files.values():
        picture(folder / "images" / file, (int(file[-6:-4]),) * 3, quality=100)
    for column, name in enumerate(("images", "image_class_labels", "train_test_split")):
        lines = [f"{number} {values[column]}\n" for number, values in files.items()]
        (folder / f"{name}.txt").write_text("".join(lines))
    return folder


def dogs(root, picture):
    folder = root / "stanford-dogs"
    splits = {
        "train": ["n02-Chihuahua/n02_10.jpg", "n02-Chihuahua/n02_11.jpg", "n09-dingo/n09_12.jpg"],
        "test": ["n02-Chihuahua/n02_20.jpg", "n09-dingo/n09_21.jpg"],
    }
    (folder / "lists").mkdir(parents=True)
    for split, files in splits.items():
        cells = np.empty((len(files), 1), dtype=object)
        cells[:, 0] = files
        savemat(folder / "lists" / f"{split}_list.mat", {"file_list": cells})
        for file in files:
            picture(folder / "Images" / file, (int(file[-6:-4]),) * 3, quality=100)
    return folder


CASES = {
    "food101": (Food101, food, ("apple_pie", "waffles"), [10, 11, 12], [1, 0, 0], [20, 21]),
    "cub200": (Cub200, birds, ("001.Albatross", "002.Wren"), [10, 11, 12], [0, 1, 1], [20, 21]),
    "stanford-dogs": (
        StanfordDogs,
        dogs,
        ("n02-Chihuahua", "n09-dingo"),
        [10, 11, 12],
        [0, 0, 1],
        [20, 21],
    ),
}


@pytest.fixture(params=list(CASES))
def case(request, root, picture, monkeypatch):
    """One of the data sets with lists: name, folder, class of it."""
    cls, write = CASES[request.param][:2]
    monkeypatch.setattr(cls, "classes", 2)
    monkeypatch.setattr(cls, "counts", (3, 2))
    return request.param, write(root, picture), cls


def values(split):
    return [int(split.image(row)[0, 0, 0]) for row in range(len(split))]


def test_lists_are_followed_in_their_order(case, root):
    name, folder, cls = case
    _, _, classes, train, targets, test = CASES[name]
    assert cls().where(root) == folder
    found = load(name)
    assert found.train.classes == classes
    assert (values(found.train), found.train.targets.tolist()) == (train, targets)
    assert (values(found.test), found.test.targets.tolist()) == (test, [0, 1])
    assert found.notes == ()


def test_an_absent_file_is_a_count_that_differs(case, root):
    _, folder, cls = case
    next(iter(folder.rglob("*20.jpg"))).unlink()
    with pytest.raises(RequestError, match=r"has 1 test images: published are 2\. .*http"):
        cls().load(root)


def test_more_classes_than_the_published_are_refused(case, root, monkeypatch):
    _, _, cls = case
    monkeypatch.setattr(cls, "classes", 1)
    with pytest.raises(RequestError, match=r"2 classes.*1"):
        cls().load(root)


def test_class_folders_that_are_there_are_a_subset(case, root, monkeypatch):
    name, folder, cls = case
    (folder / cls.images / "zebra").mkdir()  # not in the lists
    assert cls().class_count(root) == 2
    assert cls().identity(root) == f"{name}/1"
    monkeypatch.setattr(cls, "classes", 3)
    monkeypatch.setattr(cls, "counts", (4, 4))
    assert cls().class_count(root) is None
    assert cls().identity(root).startswith(f"{name}/1,2 classes,")
    found = cls().load(root)
    assert found.train.classes == CASES[name][2]
    assert found.notes == (
        "2 classes, 3 training and 2 test images; published are 3 classes, 4 training and 4 test "
        "images",
    )
    next(iter(folder.rglob("*20.jpg"))).unlink()
    with pytest.raises(RequestError, match="lacks 1 of the listed images of its classes"):
        cls().load(root)


def test_a_copy_without_its_lists_is_missing(case, root):
    name, folder, cls = case
    for path in [*folder.rglob("*train*.txt"), *folder.rglob("*train*.mat")]:
        path.unlink()
    assert cls().page in cls().missing(root)
    with pytest.raises(RequestError, match=f"{name}.*{cls().page}"):
        cls().load(root)


def test_an_unreadable_image_is_named_relative_to_the_data_set(root, picture, monkeypatch):
    folder = food(root, picture)
    more = [f"waffles/{number}" for number in range(30, 50)]
    for file in more:
        picture(folder / "images" / f"{file}.jpg")
    with (folder / "meta" / "train.txt").open("a") as lines:
        lines.write("\n".join(more))
    (folder / "images/waffles/33.jpg").write_bytes(b"\xff\xd8")
    monkeypatch.setattr(Food101, "classes", 2)
    monkeypatch.setattr(Food101, "counts", (23, 2))
    assert Food101().load(root).train.unreadable == ("images/waffles/33.jpg",)


def test_dogs_may_lie_beside_their_lists_in_the_root(root, picture, monkeypatch):
    folder = dogs(root, picture)
    (folder / "Images").rename(root / "Images")
    for path in (folder / "lists").iterdir():
        path.rename(root / path.name)
    monkeypatch.setattr(StanfordDogs, "classes", 2)
    monkeypatch.setattr(StanfordDogs, "counts", (3, 2))
    assert StanfordDogs().where(root) == root
    assert values(StanfordDogs().load(root).test) == [20, 21]


def test_damaged_lists_are_named(root, picture):
    (dogs(root, picture) / "lists" / "test_list.mat").write_bytes(b"no list")
    with pytest.raises(RequestError, match=r"test_list\.mat.*list of files.*http"):
        StanfordDogs().load(root)
    folder = birds(root, picture)
    (folder / "train_test_split.txt").write_text("1 1\n2 0\n3 1\n4 1\n5 2\n")
    with pytest.raises(
        RequestError, match=r"images\.txt, image_class_labels\.txt, train_test_split\.txt.*http"
    ):
        Cub200().load(root)
    (folder / "images.txt").write_text("1\n")
    with pytest.raises(RequestError, match=r"images\.txt .*NUMBER VALUE.*http"):
        Cub200().load(root)
    (food(root, picture) / "meta" / "test.txt").write_bytes(b"\xff\n")
    with pytest.raises(RequestError, match=r"test\.txt"):
        Food101().load(root)
