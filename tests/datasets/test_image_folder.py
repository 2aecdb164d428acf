import hashlib
import os
import pickle
import shutil
import sys

import numpy as np
import pytest
import torch
from PIL import Image

from attnbench.datasets import image_files
from attnbench.datasets.dataset import data_root
from attnbench.datasets.image_folder import ImageNet
from attnbench.datasets.registry import dataset, describe_dataset, load
from attnbench.errors import MissingExtraError, RequestError


@pytest.fixture
def mine(picture, tmp_path):
    """A folder of two classes, a and b, with two images each for training, one for testing."""
    folder = tmp_path / "mine"
    for name in "ab":
        picture(folder / "train" / name / "1.png")
        picture(folder / "train" / name / "2.png")
        picture(folder / "test" / name / "3.png")
    return folder


def identity(folder):
    return dataset(f"folder:{folder}").identity(data_root())


def test_a_folder_of_all_sorts(picture, truncated, tmp_path):
    train = tmp_path / "Bilder" / "train"
    for number in range(20):
        picture(train / "Äpfel" / f"{number:02}.png", size=(5 + number, 40 - number))
    picture(train / "Äpfel" / "grau.jpg", 120, mode="L")
    picture(train / "梨" / "druck.jpg", (0, 255, 0, 0), mode="CMYK")
    Image.fromarray(np.full((3, 3), 257 * 50, np.uint16)).save(train / "梨" / "tief.png")
    picture(train / "梨" / "innen" / "noch.TIFF", (7, 8, 9), size=(1, 1))
    truncated(train / "梨" / "halb.jpg")
    (train / "梨" / "text.jpg").write_text("no image")
    (train / "梨" / "liste.txt").write_text("does not count")
    picture(train / "梨" / ".versteckt.png")
    picture(train / ".ipynb_checkpoints" / "1.png")
    (train / "lose.png").write_text("belongs to no class")
    for name in ("Äpfel", "梨"):
        picture(tmp_path / "Bilder" / "val" / name / "1.webp")

    found = load(f"folder:{tmp_path / 'Bilder'}")
    assert found.train.classes == found.test.classes == ("Äpfel", "梨")
    assert found.train.unreadable == ("train/梨/halb.jpg", "train/梨/text.jpg")
    assert found.train.targets.tolist() == [0] * 21 + [1] * 3
    assert [tuple(found.train.image(row).shape) for row in (0, 19)] == [(3, 40, 5), (3, 21, 24)]
    assert found.train.image(20)[:, 0, 0].tolist() == [120] * 3
    assert found.train.image(22)[:, 0, 0].tolist() == [7, 8, 9]
    assert found.train.image(23)[:, 0, 0].tolist() == [50] * 3
    assert found.test.targets.tolist() == [0, 1]
    assert found.name == f"folder:{tmp_path / 'Bilder'}"
    sent = pickle.loads(pickle.dumps(found))
    assert torch.equal(sent.train.image(22), found.train.image(22))


def test_order_and_targets_are_those_of_image_folder(mine, picture):
    from torchvision.datasets import ImageFolder

    picture(mine / "train" / "a" / "B" / "1.png")
    picture(mine / "train" / "Z" / "1.jpeg")
    picture(mine / "test" / "Z" / "1.jpeg")
    reference = ImageFolder(str(mine / "train"))
    found = load(f"folder:{mine}").train
    assert list(found.classes) == reference.classes
    ours = [
        (str(mine / file), target)
        for file, target in zip(found.image.files, found.targets.tolist(), strict=True)
    ]
    assert sorted(ours) == sorted(reference.samples)


def test_test_stands_in_where_val_has_no_class_folders(mine):
    (mine / "val").mkdir()
    (mine / "val" / "unlabelled.png").touch()
    found = load(f"folder:{mine}")
    assert found.test.image.files[0].startswith("test/")
    assert found.notes == ("not used is val/, without class folders",)


@pytest.mark.parametrize(
    "names",
    [
        ("train", "val"),
        ("train", "valid"),
        ("training", "validation"),
        ("Training", "Testing"),
        ("TRAIN", "Eval"),
        ("data/train", "data/Val"),
        ("a b/c/Train", "a b/c/test"),
    ],
)
def test_splits_as_people_name_them(mine, names):
    train, test = (mine.parent / "other" / name for name in names)
    train.parent.mkdir(parents=True)
    (mine / "train").rename(train)
    (mine / "test").rename(test)
    found = load(f"folder:{mine.parent / 'other'}")
    assert found.train.targets.tolist() == [0, 0, 1, 1]
    assert found.train.image.files[0] == f"{names[0]}/a/1.png"
    assert found.test.image.files == (f"{names[1]}/a/3.png", f"{names[1]}/b/3.png")
    assert found.notes == ()


def test_of_val_and_test_the_used_one_is_named(mine):
    shutil.copytree(mine / "test", mine / "Val")
    found = load(f"folder:{mine}")
    assert found.test.image.files[0].startswith("Val/")
    assert found.notes == ("tested on Val, not on test",)


SPLIT = "no split there: one in 5 images of each class is for testing, drawn by seed 0"


class TestOneFolderOfClasses:
    @pytest.fixture
    def alone(self, picture, tmp_path):
        for name, count in (("a", 10), ("b", 12)):
            for number in range(count):
                picture(tmp_path / "alone" / name / f"{number:02}.png")
        return tmp_path / "alone"

    def test_a_split_is_drawn_by_hashes_and_stated(self, alone):
        found = load(f"folder:{alone}")
        assert found.notes == (SPLIT,)
        names = [f"a/{number:02}.png" for number in range(10)]
        drawn = sorted(names, key=lambda one: hashlib.blake2b(b"0\0" + one.encode()).digest())
        assert found.test.image.files[:2] == tuple(sorted(drawn[:2]))
        assert found.test.targets.tolist() == [0] * 2 + [1] * 2
        assert found.train.targets.tolist() == [0] * 8 + [1] * 10
        assert not {*found.test.image.files} & {*found.train.image.files}

    def test_it_depends_on_no_other_class_or_place(self, alone, picture):
        def tested(folder):
            return dataset(f"folder:{folder}").load(data_root()).test.image.files

        first = tested(alone)
        picture(alone / "0" / "1.png")
        picture(alone / "0" / "2.png")
        assert tested(alone)[1:] == first
        whole = alone.parent / "whole"
        whole.mkdir()
        alone.rename(whole / "train")
        assert tested(whole)[1:] == tuple(f"train/{one}" for one in first)

    def test_its_identity_is_of_the_split_too(self, alone):
        before = identity(alone)
        load(f"folder:{alone}")
        assert identity(alone) == before
        (alone / "a" / "00.png").rename(alone / "b" / "99.png")
        assert identity(alone) != before

    @pytest.mark.skipif(os.name != "posix", reason="named pipes exist on POSIX alone")
    def test_a_pipe_is_not_opened(self, alone):
        os.mkfifo(alone / "a" / "0.png")
        os.mkfifo(alone / "a" / "00")
        assert len(load(f"folder:{alone}").train) == 18

    def test_a_single_image_cannot_be_split(self, alone, picture):
        picture(alone / "c" / "1.png")
        with pytest.raises(RequestError, match="class 'c' has too few images for a split: got 1"):
            load(f"folder:{alone}")

    def test_an_empty_class_is_left_out_and_named(self, alone):
        (alone / "empty").mkdir()
        found = load(f"folder:{alone}")
        assert found.train.classes == ("a", "b")
        assert found.notes == ("1 empty class folders: empty", SPLIT)


def test_dropped_files_are_counted_and_named_by_kind(mine, picture, monkeypatch):
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    image_files.formats.cache_clear()
    train = mine / "train" / "a"
    for number in range(3):
        (train / f"{number}.HEIC").write_bytes(b"\0\0\0\x18ftypheic")
    (train / "broken.jpg").write_text("<html>")
    (train / "notes.txt").write_text("text")
    (train / "noending").write_text("text")
    (mine / "train" / "loose.png").touch()
    for name in ("._1.png", ".DS_Store", "Thumbs.db", "__MACOSX/1.png"):
        (train / name).parent.mkdir(exist_ok=True)
        (train / name).write_text("of the system")
    (train / "self.png").symlink_to("self.png")
    (train / "gone.png").symlink_to("nowhere.png")
    found = load(f"folder:{mine}")
    assert len(found.train) == 4
    assert found.notes == (
        "9 files left out: 3 .HEIC (no reader: pip install pillow-heif): train/a/0.HEIC, "
        "train/a/1.HEIC, train/a/2.HEIC; 1 without a name ending: train/a/noending; 1 .txt: "
        "train/a/notes.txt; 2 broken link: train/a/gone.png, train/a/self.png; 1 in no class "
        "folder: train/loose.png; 1 unreadable: train/a/broken.jpg",
    )


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("x.jfif", "JPEG"),
        ("x.JPE", "JPEG"),
        ("x.gif", "GIF"),
        ("x.BMP", "BMP"),
        ("x.WebP", "WEBP"),
        ("x.tiff", "TIFF"),
        ("x.ppm", "PPM"),
        ("x", "PNG"),
        ("x.image", "JPEG"),
        ("x.heic", "JPEG"),
        ("x.jpg", "WEBP"),
    ],
)
def test_images_of_any_name_are_read(mine, name, kind, picture):
    picture(mine / "train" / "a" / name, format=kind)
    assert f"train/a/{name}" in load(f"folder:{mine}").train.image.files


def test_folders_full_of_links_to_each_other_are_read_once(picture, tmp_path):
    folders = [tmp_path / "train" / f"{number:02}" for number in range(12)]
    for folder in folders:
        picture(folder / "1.png")
        picture(tmp_path / "val" / folder.name / "1.png")
    for one in folders:
        for other in folders:
            (one / "sub" / other.name).parent.mkdir(exist_ok=True)
            (one / "sub" / other.name).symlink_to(other if other.name < "06" else other / "sub")
    found = load(f"folder:{tmp_path}")
    assert found.train.targets.tolist() == list(range(12))


def test_links_are_followed_and_never_round_for_ever(mine, picture, tmp_path):
    picture(tmp_path / "elsewhere" / "9.png", (9, 9, 9))
    (mine / "train" / "c").symlink_to(tmp_path / "elsewhere")
    (mine / "test" / "c").mkdir()
    (mine / "test" / "c" / "9.png").symlink_to(tmp_path / "elsewhere" / "9.png")
    (tmp_path / "elsewhere" / "round").symlink_to(tmp_path / "elsewhere")
    found = load(f"folder:{mine}")
    assert found.train.classes == ("a", "b", "c")
    assert found.train.targets.tolist() == [0, 0, 1, 1, 2]
    assert found.test.image(2)[:, 0, 0].tolist() == [9, 9, 9]


def test_a_link_that_leads_nowhere_is_reported(mine, picture):
    for number in range(10, 30):
        picture(mine / "train" / "a" / f"{number}.png")
    (mine / "train" / "a" / "lost.png").symlink_to(mine / "nowhere.png")
    found = load(f"folder:{mine}")
    assert found.notes == ("1 file left out: 1 broken link: train/a/lost.png",)
    assert found.train.unreadable == ()


@pytest.mark.skipif(os.name != "posix", reason="names of other bytes exist on POSIX alone")
def test_a_name_that_is_no_text_is_written_out(mine, tmp_path):
    path = os.fsencode(mine / "train" / "a") + b"/\xff.png"
    try:
        shutil.copy(mine / "train" / "a" / "1.png", path)
    except OSError:
        pytest.skip("this file system takes no such names")
    assert len(load(f"folder:{mine}").train) == 5
    assert identity(mine).startswith("folder/1,7 files,")


def test_the_path_may_have_commas_and_equals_signs(mine):
    odd = mine.rename(mine.with_name("size=3,mine"))
    assert len(load(f"folder:{odd}").train) == 4


def test_a_relative_path_means_the_folder_at_the_time(mine, monkeypatch):
    monkeypatch.chdir(mine.parent)
    found = dataset("folder:mine/")
    assert found.name == "folder:mine"
    monkeypatch.chdir("/")
    assert found.missing(data_root()) is None


def test_the_identity_is_of_names_and_sizes(mine, picture, tmp_path):
    first = identity(mine)
    assert first.startswith("folder/1,6 files,")
    shutil.copytree(mine, tmp_path / "copy")
    os.utime(mine / "train" / "a" / "1.png", (1, 1))
    (mine / "train" / "a" / "notes.txt").touch()
    assert identity(tmp_path / "copy") == identity(mine) == first
    seen = {first}
    (mine / "train" / "a" / "1.png").rename(mine / "train" / "a" / "8.png")
    seen.add(identity(mine))
    (mine / "train" / "a" / "8.png").write_bytes(b"shorter")
    seen.add(identity(mine))
    (mine / "train" / "a" / "8.png").unlink()
    seen.add(identity(mine))
    assert len(seen) == 4


def test_the_identity_of_an_absent_folder_is_an_error(tmp_path):
    with pytest.raises(RequestError, match=r"absent.*train/CLASS/IMAGE"):
        identity(tmp_path / "absent")


def test_the_identity_of_the_published_layout_is_that_of_earlier_records(mine):
    parts = [("train", "12"), ("test", "3")]
    listed = [
        f"{split}/{label}/{number}.png\0{(mine / split / label / f'{number}.png').stat().st_size}\0"
        for split, numbers in parts
        for label in "ab"
        for number in numbers
    ]
    found = hashlib.sha256("".join(listed).encode()).hexdigest()
    assert identity(mine) == f"folder/1,6 files,{found}"


def test_an_empty_path_is_refused():
    with pytest.raises(RequestError, match="folder:PATH"):
        dataset("folder:")


@pytest.mark.parametrize(
    ("absent", "reason"),
    [
        (".", "no folder .*mine.*train/CLASS/IMAGE"),
        ("train", "mine has no train/ with class folders: it holds test/; .*train/CLASS/IMAGE"),
    ],
)
def test_what_is_missing_is_named_with_the_layout(mine, absent, reason):
    shutil.rmtree(mine / absent)
    row = describe_dataset(f"folder:{mine}")
    assert not row["available"]
    with pytest.raises(MissingExtraError, match=reason) as raised:
        load(f"folder:{mine}")
    assert str(raised.value) == row["missing"]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (
            lambda mine: (mine / "test").rename(mine / "tets"),
            "has no val/ or test/ .* tets/, train/;",
        ),
        (lambda mine: (mine / "train").rename(mine / "pics"), "has no train/ .* pics/, test/;"),
        (lambda mine: shutil.copytree(mine / "train", mine / "Train"), "several training folders"),
        (
            lambda mine: [
                (mine / old).rename(mine / new) for old, new in (("train", "x"), ("test", "y"))
            ],
            "has no class folders with images: it holds x/, y/;",
        ),
        (
            lambda mine: [
                shutil.rmtree(mine / split / name) for split in ("train", "test") for name in "ab"
            ],
            "has no class folders in test/ and train/: it holds test/, train/;",
        ),
    ],
)
def test_other_folders_are_refused_with_what_there_is(mine, change, reason):
    change(mine)
    with pytest.raises(MissingExtraError, match=reason) as raised:
        load(f"folder:{mine}")
    assert "\n" not in str(raised.value)


def test_a_single_class_is_named(tmp_path, picture):
    picture(tmp_path / "d8" / "a" / "1.png")
    with pytest.raises(MissingExtraError, match="d8 has one class, a; two are the least"):
        load(f"folder:{tmp_path / 'd8'}")


def empty_in(split):
    def change(mine):
        shutil.rmtree(mine / split / "b")
        (mine / split / "b").mkdir()
        (mine / split / "b" / "notes.txt").touch()
        (mine / split / "b" / ".hidden.png").touch()

    return change


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (empty_in("train"), "'b' has no images in .*train.*[Aa]dd"),
        (empty_in("test"), "'b' has no images in .*test.*[Aa]dd"),
        (lambda mine: shutil.rmtree(mine / "test" / "b"), "'b' has no images in .*test"),
        (
            lambda mine: shutil.rmtree(mine / "train" / "b"),
            "train .*got 1.* at least 2",
        ),
        (
            lambda mine: shutil.copytree(mine / "test" / "b", mine / "test" / "c"),
            "test .*'c'.*train.*[Aa]dd",
        ),
        (
            lambda mine: (mine / "test" / "a" / "3.png").write_bytes(b""),
            "test: class 'a' has no image that can be decoded",
        ),
    ],
)
def test_what_cannot_be_learned_or_tested_is_refused(mine, change, reason):
    change(mine)
    with pytest.raises(RequestError, match=reason) as raised:
        load(f"folder:{mine}")
    assert str(raised.value).count("\n") <= 1


@pytest.fixture
def imagenet(root, picture):
    folder = root / "imagenet"
    for wnid in ("n01440764", "n01443537"):
        picture(folder / "train" / wnid / f"{wnid}_1.JPEG")
        picture(folder / "train" / wnid / f"{wnid}_2.JPEG")
        picture(folder / "val" / wnid / "ILSVRC2012_val_00000001.JPEG")
    return folder


def test_imagenet_in_folders(imagenet, root, monkeypatch):
    found = ImageNet().load(root)
    assert found.train.classes == ("n01440764", "n01443537")
    assert found.train.targets.tolist() == [0, 0, 1, 1]
    assert found.test.targets.tolist() == [0, 1]
    assert found.notes == (
        "2 classes, 4 training and 2 validation images; "
        "published are 1,000 classes, 1,281,167 training and 50,000 validation images",
    )
    names = hashlib.sha256(b"n01440764\0n01443537").hexdigest()[:16]
    assert ImageNet().identity(root) == f"imagenet/1,2 classes,{names}"
    assert ImageNet().class_count(root) is None
    monkeypatch.setattr(ImageNet, "classes", 2)
    monkeypatch.setattr(ImageNet, "counts", (4, 2))
    assert ImageNet().load(root).notes == ()
    assert ImageNet().identity(root) == "imagenet/1"
    assert ImageNet().class_count(root) == 2


def test_an_imagenet_class_without_validation_images_is_refused(imagenet, root):
    next(iter((imagenet / "val" / "n01443537").iterdir())).unlink()
    with pytest.raises(RequestError, match=r"'n01443537' .*val"):
        ImageNet().load(root)


@pytest.mark.parametrize("flat", ["val", "ILSVRC2012_img_val", "."])
def test_validation_images_without_folders_say_what_to_do(imagenet, root, picture, flat):
    for path in (imagenet / "val").iterdir():
        for image in path.iterdir():
            image.unlink()
        path.rmdir()
    picture(imagenet / flat / "ILSVRC2012_val_00000001.JPEG")
    missing = ImageNet().missing(root)
    assert f"move each to {imagenet}/val/WNID/" in missing
    assert "ILSVRC2012_devkit_t12.tar.gz" in missing
