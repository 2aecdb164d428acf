import gzip
import struct

import numpy as np
import pytest
import torch

from attnbench.datasets.fashion_mnist import FashionMnist
from attnbench.errors import RequestError


def idx(array):
    """The bytes of an idx file, written from its description."""
    head = bytes([0, 0, 8, array.ndim])
    return head + b"".join(struct.pack(">I", size) for size in array.shape) + array.tobytes()


def write(folder, counts=(6, 4), zipped=True, **changed):
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.RandomState(0)
    arrays = {}
    for split, count in zip(("train", "t10k"), counts, strict=True):
        arrays[f"{split}-images-idx3-ubyte"] = random.randint(0, 256, (count, 28, 28))
        arrays[f"{split}-labels-idx1-ubyte"] = np.arange(count) % 10
    for name, array in (arrays | changed).items():
        content = array if isinstance(array, bytes) else idx(np.asarray(array, dtype=np.uint8))
        if zipped:
            (folder / f"{name}.gz").write_bytes(gzip.compress(content))
        else:
            (folder / name).write_bytes(content)
    return arrays


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(FashionMnist, "counts", (6, 4))
    monkeypatch.setattr(FashionMnist, "places", FashionMnist.places[:2])


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("place", ["fashion-mnist", "FashionMNIST/raw"])
def test_both_layouts_packed_and_unpacked(root, place, zipped):
    arrays = write(root / place, zipped=zipped)
    assert FashionMnist().missing(root) is None
    assert FashionMnist().where(root) == root / place
    found = FashionMnist().load(root)
    assert np.array_equal(found.train.stacked.numpy()[:, 0], arrays["train-images-idx3-ubyte"])
    assert found.test.targets.tolist() == [0, 1, 2, 3]
    assert found.test.image(2).shape == (1, 28, 28)


def test_another_count_than_the_published_one_is_refused(root):
    write(root / "fashion-mnist", counts=(5, 4))
    with pytest.raises(RequestError, match=r"fashion-mnist has 5 training .* 6.*http"):
        FashionMnist().load(root)


IMAGES, LABELS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({IMAGES: idx(np.zeros((6, 28, 28), np.uint8))[:-1]}, f"{IMAGES}.*4703"),
        ({IMAGES: b"\0\0\x0d\x03" + bytes(12)}, IMAGES),
        ({IMAGES: b"\0"}, IMAGES),
        ({IMAGES: np.zeros((6, 32, 32))}, r"\(6, 32, 32\) for 6 labels.*28x28"),
        ({LABELS: np.zeros(5)}, r"\(6, 28, 28\) for 5 labels"),
        ({LABELS: np.full(6, 10)}, "label 10.*0 to 9"),
    ],
)
def test_damage_is_named(root, changed, reason):
    write(root / "fashion-mnist", **changed)
    with pytest.raises(RequestError, match=reason):
        FashionMnist().load(root)


@pytest.mark.parametrize("cut", [0, 5, 40])
def test_a_damaged_archive_is_named(root, cut):
    write(root / "fashion-mnist")
    path = root / "fashion-mnist" / f"{IMAGES}.gz"
    path.write_bytes(path.read_bytes()[:cut] if cut else b"no gzip")
    with pytest.raises(RequestError, match=rf"{IMAGES}\.gz .*http"):
        FashionMnist().load(root)


def test_an_incomplete_copy_is_missing(root):
    write(root / "fashion-mnist")
    (root / "fashion-mnist" / "t10k-labels-idx1-ubyte.gz").unlink()
    assert "download the four .gz files" in FashionMnist().missing(root)


def test_the_published_files_are_what_is_described(monkeypatch, root):
    monkeypatch.undo()
    if FashionMnist().missing(root) is not None:
        pytest.skip("Debian's package dataset-fashion-mnist is not installed")
    found = FashionMnist().load(root)
    assert found.train.targets.bincount().tolist() == [6000] * 10
    assert found.test.targets.bincount().tolist() == [1000] * 10
    # the authors' mean and deviation of the training pixels, 0.2860 and 0.3530
    parts = [part.double() / 255 for part in found.train.stacked.split(2000)]
    mean = torch.stack([part.mean() for part in parts]).mean().item()
    square = torch.stack([part.square().mean() for part in parts]).mean().item()
    assert mean == pytest.approx(0.2860, abs=5e-5)
    assert (square - mean**2) ** 0.5 == pytest.approx(0.3530, abs=5e-5)
