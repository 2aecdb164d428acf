"""Tables of labels as people write them, for images in one folder."""

import pytest

from attnbench.datasets.dataset import data_root
from attnbench.datasets.random_split import NOTE
from attnbench.datasets.registry import dataset, load, with_labels
from attnbench.errors import RequestError

IMAGES = {f"img {number}.jpg": "cat" if number < 4 else "dog" for number in range(8)}


@pytest.fixture
def flat(picture, tmp_path):
    for name in IMAGES:
        picture(tmp_path / "flat" / name)
    return tmp_path / "flat"


@pytest.fixture
def labeled(flat):
    """Write a table beside the images and load them."""

    def read(text, place="labels.csv", encoding="utf-8"):
        table = flat / place
        table.parent.mkdir(exist_ok=True)
        table.write_text(text, encoding=encoding)
        return load(f"folder:{flat},labels={table}")

    return read


def lines(between=",", head="", ending=True, below=""):
    rows = [
        f"{below}{name if ending else name.removesuffix('.jpg')}{between}{label}"
        for name, label in IMAGES.items()
    ]
    return "\n".join([*([head] if head else []), *rows, ""])


@pytest.mark.parametrize(
    "text",
    [
        lines(),
        lines(head="file,label"),
        lines("\t", head="file_name\tclass"),
        lines(";", head="Image;Species"),
        lines("|"),
        lines(",  ", head="id,breed", ending=False),
        lines(below="./"),
        lines(below="flat\\"),
        lines(head="photo,label").replace("\n", "\r\n\r\n"),
        "\n".join(f'"{name}","{label}"' for name, label in IMAGES.items()),
        "label,n,file\n" + "\n".join(f"{label},0,{name}" for name, label in IMAGES.items()),
    ],
)
def test_columns_separators_and_paths(labeled, text):
    found = labeled(text, encoding="utf-8-sig")
    assert found.train.classes == ("cat", "dog")
    assert found.train.targets.tolist() == [0, 0, 0, 1, 1, 1]
    assert found.test.targets.tolist() == [0, 1]
    assert {*found.train.image.files, *found.test.image.files} == {*IMAGES}
    assert found.notes[:2] == ("labels of labels.csv", NOTE)


def split_rows(*splits):
    return "\n".join(
        f"{name},{label},{split}"
        for (name, label), split in zip(IMAGES.items(), splits, strict=True)
    )


def test_a_column_of_splits(labeled):
    found = labeled(split_rows("train", "train", "Val", "test", "TRAINING", "train", "val", "test"))
    assert found.train.image.files == ("img 0.jpg", "img 1.jpg", "img 4.jpg", "img 5.jpg")
    assert found.test.image.files == ("img 2.jpg", "img 6.jpg")
    assert found.notes == (
        "labels of labels.csv",
        "tested on val, not on test",
    )


def test_folders_of_splits_are_followed(flat, picture):
    for split in ("train", "valid"):
        for name in ("a", "b"):
            picture(flat / split / f"{name}.png")
    table = flat / "labels.csv"
    table.write_text("".join(f"{s}/{n}.png,{n}\n" for s in ("train", "valid") for n in "ab"))
    assert load(f"folder:{flat},labels={table}").test.image.files == ("valid/a.png", "valid/b.png")


def test_paths_relative_to_the_table(labeled):
    assert len(labeled(lines(below="../"), place="tables/labels.csv").train) == 6


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "got an empty file"),
        ("one-column\n", r"got 'one-column'\. Expected are the columns file,label"),
        ("a,b,c\nd,e\n", "no table of as many columns"),
        ("file,cat,dog\nimg 0.jpg,1,0\n", "no column of labels: got file, cat, dog"),
        ("img 0.jpg,cat,train,1\n", "have 4 columns, but no header"),
        (lines() + "img 0.jpg,dog\n", "line 9: file 'img 0.jpg' has another label than in line 1"),
        (split_rows(*["train"] * 7, "hold-out"), "line 8: split is unknown: got 'hold-out'"),
        (split_rows(*["val"] * 8), "have no line of split train: got val"),
        (
            "".join(f"{n}.png,cat\n" for n in range(9)),
            r"9 of 9 lines cannot be used: 9 named in labels.csv and not there: 0.png, 1.png, 2.png",
        ),
    ],
)
def test_other_tables_are_refused_in_a_line(labeled, text, reason):
    with pytest.raises(RequestError, match=reason) as raised:
        labeled(text)
    assert "\n" not in str(raised.value)


def test_labels_in_other_encodings_are_refused(labeled):
    with pytest.raises(RequestError, match="are not UTF-8"):
        labeled("img 0.jpg,Bär\n", encoding="latin-1")


def test_ambiguous_names_are_refused(labeled, picture, flat):
    picture(flat / "x" / "same.png")
    picture(flat / "y" / "same.png")
    with pytest.raises(RequestError, match=r"'same.png' is ambiguous: got x/same.png, y/same.png"):
        labeled("same.png,cat\n")


def test_lines_that_cannot_be_used_are_counted(labeled, flat):
    (flat / "text.txt").touch()
    found = labeled(lines() + "gone.jpg,cat\nimg 0.jpg,cat\ntext.txt,cat\n")
    assert found.notes[-1] == (
        "3 files left out: 1 named in labels.csv and not there: gone.jpg; 1 named twice: "
        "img 0.jpg; 1 .txt: text.txt"
    )


def test_a_label_only_in_val_is_named(labeled):
    with pytest.raises(RequestError, match=r"val has class 'dog', which .*train does not have"):
        labeled("img 0.jpg,cat,train\nimg 1.jpg,cow,train\nimg 5.jpg,dog,val\n")


def test_the_table_is_part_of_spec_and_identity(flat):
    spec = f"folder:{flat},labels=a=b,c.csv"
    assert dataset(spec).name == spec
    seen = set()
    for label in ("cat", "cow"):
        (flat / "l.csv").write_text(lines().replace("cat", label))
        seen.add(dataset(f"folder:{flat},labels={flat}/l.csv").identity(data_root()))
    assert len(seen) == 2
    assert with_labels("folder:a", "b.csv") == "folder:a,labels=b.csv"
    with pytest.raises(RequestError, match="labels need a folder without them: got 'digits'"):
        with_labels("digits", "b.csv")
