import subprocess
import sys
from pathlib import Path

import pytest
import torch

from attnbench.datasets.dataset import Data, Dataset, data_root
from attnbench.datasets.registry import dataset, datasets, describe_dataset, load
from attnbench.errors import MissingExtraError, RequestError, UnknownNameError

PUBLISHED = [
    "fashion-mnist",
    "cifar10",
    "cifar100",
    "food101",
    "cub200",
    "stanford-dogs",
    "imagenet",
]


@pytest.fixture(autouse=True)
def no_system_copy(monkeypatch):
    """Keep Debian's Fashion-MNIST from being found where tests look at what is missing."""
    from attnbench.datasets.fashion_mnist import FashionMnist

    monkeypatch.setattr(FashionMnist, "places", FashionMnist.places[:2])


def test_the_names_are_in_a_fixed_order():
    assert datasets() == ["digits", *PUBLISHED, "synthetic", "folder:PATH"]


@pytest.mark.parametrize("name", datasets())
def test_each_is_a_data_set_under_its_own_name(name, root):
    found = dataset(name)
    assert isinstance(found, Dataset)
    assert found.name == name
    assert dataset(name) == found
    assert hash(dataset(name)) == hash(found)


def test_a_misspelt_name_is_answered_with_near_misses():
    with pytest.raises(UnknownNameError, match=r"'cifar-10'\. Did you mean 'cifar10'.*folder:PATH"):
        dataset("cifar-10")


def test_an_option_that_a_data_set_does_not_have_is_refused():
    with pytest.raises(RequestError, match="digits has no option size"):
        dataset("digits,size=3")


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_missing_one_names_page_and_place(name, root):
    row = describe_dataset(name)
    assert not row["available"]
    assert row["where"] is None
    assert row["page"].startswith("http")
    assert row["page"] in row["missing"]
    assert str(root) in row["missing"]
    assert "\n" not in row["missing"]
    with pytest.raises(MissingExtraError) as raised:
        load(name)
    assert str(raised.value) == row["missing"]


def test_identities_differ_and_need_no_files_of_published_ones(root):
    names = ["digits", *PUBLISHED, "synthetic", "synthetic,classes=4"]
    assert len({dataset(name).identity(root) for name in names}) == len(names)


def test_published_counts_are_listed():
    row = describe_dataset("food101")
    assert (row["classes"], row["train"], row["test"]) == (101, 75_750, 25_250)
    assert describe_dataset("folder:PATH")["train"] is None


def test_loading_twice_reads_once():
    assert load("synthetic,count=40") is load("synthetic,count=40")


def test_the_root_is_the_variable_or_a_cache(monkeypatch):
    monkeypatch.setenv("ATTNBENCH_DATA", "~/pictures")
    assert data_root() == Path.home() / "pictures"
    monkeypatch.delenv("ATTNBENCH_DATA")
    assert data_root() == Path.home() / ".cache/attnbench/data"


HEAVY = "{'torch', 'torchvision', 'sklearn', 'scipy'} & set(sys.modules)"


def test_looking_at_data_sets_imports_nothing_heavy(picture, tmp_path):
    for split in ("train", "test"):
        for name in "ab":
            picture(tmp_path / split / name / "1.png")
    code = (
        "import sys\n"
        "from attnbench.datasets.registry import data_root, dataset, datasets, describe_dataset\n"
        "for name in [*datasets(), sys.argv[1]]:\n"
        "    describe_dataset(name)\n"
        "    if name != 'folder:PATH':\n"
        "        dataset(name).identity(data_root())\n"
        f"sys.exit(str({HEAVY}) if {HEAVY} else 0)"
    )
    command = [sys.executable, "-c", code, f"folder:{tmp_path}"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_that_the_test_above_can_fail():
    code = f"import sys, scipy; sys.exit(bool({HEAVY}))"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 1


@pytest.mark.parametrize("name", ["digits", "synthetic"])
def test_splits_in_memory_are_what_the_model_says(name):
    found = load(name)
    assert isinstance(found, Data)
    for split, count in zip((found.train, found.test), dataset(name).counts, strict=True):
        assert len(split) == count == len(split.stacked)
        assert split.targets.dtype == torch.int64
        assert split.stacked.dtype == torch.uint8
        assert sorted(set(split.targets.tolist())) == list(range(len(split.classes)))
        assert torch.equal(split.image(3), split.stacked[3])
        assert split.unreadable == ()
