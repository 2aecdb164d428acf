import hashlib
import pickle
import struct

import numpy as np
import pytest
from torchvision import datasets

from attnbench.datasets.cifar import Cifar10, Cifar100
from attnbench.errors import RequestError

TEN = tuple(f"kind {number}" for number in range(10))
HUNDRED = tuple(f"kind {number}" for number in range(100))
COUNT = 4
"""Images in each file."""


def arrays(seed, classes):
    random = np.random.RandomState(seed)
    return random.randint(0, 256, (COUNT, 3072)).astype(np.uint8), random.randint(0, classes, COUNT)


def in_python_2(images, labels, key):
    """The pickle that Python 2 and its numpy wrote, protocol 2, opcode by opcode."""

    def text(content):
        return b"T" + struct.pack("<i", len(content)) + content

    def number(value):
        return b"J" + struct.pack("<i", value)

    kind = b"cnumpy\ndtype\n" + b"(" + text(b"u1") + number(0) + number(1) + b"tR"
    kind += b"(" + number(3) + text(b"|") + b"NNN" + number(-1) + number(-1) + number(0) + b"tb"
    array = b"cnumpy.core.multiarray\n_reconstruct\n" + b"(cnumpy\nndarray\n"
    array += b"(" + number(0) + b"t" + text(b"b") + b"tR"
    shape = b"(" + number(images.shape[0]) + number(images.shape[1]) + b"t"
    array += b"(" + number(1) + shape + kind + b"\x89" + text(images.tobytes()) + b"tb"
    listed = b"](" + b"".join(number(int(label)) for label in labels) + b"e"
    return b"\x80\x02}(" + text(b"data") + array + text(key.encode()) + listed + b"u."


def binary10(root):
    folder = root / "cifar-10-batches-bin"
    folder.mkdir()
    (folder / "batches.meta.txt").write_text("\n".join(TEN) + "\n\n")
    for seed, name in enumerate([*(f"data_batch_{n}" for n in range(1, 6)), "test_batch"]):
        images, labels = arrays(seed, 10)
        rows = b"".join(
            bytes([label]) + image.tobytes() for image, label in zip(images, labels, strict=True)
        )
        (folder / f"{name}.bin").write_bytes(rows)
    return folder


def python10(root, write=in_python_2):
    folder = root / "cifar-10-batches-py"
    folder.mkdir()
    (folder / "batches.meta").write_bytes(pickle.dumps({"label_names": list(TEN)}, protocol=2))
    for seed, name in enumerate([*(f"data_batch_{n}" for n in range(1, 6)), "test_batch"]):
        (folder / name).write_bytes(write(*arrays(seed, 10), "labels"))
    return folder


def in_python_3(protocol):
    def write(images, labels, key):
        return pickle.dumps({"data": images, key: labels.tolist()}, protocol=protocol)

    return write


@pytest.fixture
def published(monkeypatch):
    """Take the files in a folder for the published ones, by their MD5."""

    def publish(folder):
        reader = datasets.CIFAR10 if folder.name == "cifar-10-batches-py" else datasets.CIFAR100
        entry = {path.name: hashlib.md5(path.read_bytes()).hexdigest() for path in folder.iterdir()}
        for lists in ("train_list", "test_list"):
            changed = [[name, entry[name]] for name, _ in getattr(reader, lists)]
            monkeypatch.setattr(reader, lists, changed)
        name = reader.meta["filename"]
        monkeypatch.setattr(reader, "meta", reader.meta | {"md5": entry[name]})
        return folder

    return publish


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(Cifar10, "counts", (5 * COUNT, COUNT))
    monkeypatch.setattr(Cifar100, "counts", (COUNT, COUNT))


@pytest.mark.parametrize(
    "write",
    [
        binary10,
        python10,
        lambda root: python10(root, in_python_3(2)),
        lambda root: python10(root, in_python_3(4)),
    ],
)
def test_both_versions_of_cifar10(root, write, published):
    folder = write(root)
    if folder.name.endswith("py"):
        published(folder)
    assert Cifar10().where(root) == folder
    found = Cifar10().load(root)
    parts = [arrays(seed, 10) for seed in range(5)]
    images = np.concatenate([one for one, _ in parts]).reshape(-1, 3, 32, 32)
    assert np.array_equal(found.train.stacked.numpy(), images)
    assert found.train.targets.tolist() == np.concatenate([one for _, one in parts]).tolist()
    assert found.test.targets.tolist() == arrays(5, 10)[1].tolist()
    assert found.train.classes == TEN


@pytest.mark.parametrize("binary", [True, False])
def test_both_versions_of_cifar100_give_the_fine_labels(root, binary, published):
    folder = root / ("cifar-100-binary" if binary else "cifar-100-python")
    folder.mkdir()
    if binary:
        (folder / "fine_label_names.txt").write_text("\n".join(HUNDRED))
    else:
        (folder / "meta").write_bytes(pickle.dumps({"fine_label_names": list(HUNDRED)}, protocol=2))
    for seed, name in enumerate(("train", "test")):
        images, labels = arrays(seed, 100)
        if binary:
            rows = (
                bytes([19, fine]) + image.tobytes()
                for image, fine in zip(images, labels, strict=True)
            )
            (folder / f"{name}.bin").write_bytes(b"".join(rows))
        else:
            (folder / name).write_bytes(in_python_2(images, labels, "fine_labels"))
    if not binary:
        published(folder)
    found = Cifar100().load(root)
    assert found.train.targets.tolist() == arrays(0, 100)[1].tolist()
    assert np.array_equal(found.test.stacked.numpy().reshape(COUNT, -1), arrays(1, 100)[0])


def test_the_binary_version_is_what_is_asked_for(root):
    missing = Cifar10().missing(root)
    assert "https://www.cs.toronto.edu/~kriz/cifar.html" in missing
    assert "cifar-10-binary.tar.gz" in missing


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        (
            "data_batch_2.bin",
            bytes(3073 * COUNT - 1),
            r"data_batch_2\.bin .*12,291 bytes.*3,073.*http",
        ),
        ("test_batch.bin", b"", r"test_batch\.bin .* 0 bytes"),
        ("test_batch.bin", b"\x0a" * 3073 * COUNT, "label 10.*0 to 9"),
        ("test_batch.bin", bytes(3073), "1 test images.* 4"),
        ("batches.meta.txt", b"cat\ndog\n", "2 classes.* 10"),
    ],
)
def test_damage_to_the_binary_version_is_named(root, name, content, reason):
    (binary10(root) / name).write_bytes(content)
    with pytest.raises(RequestError, match=reason):
        Cifar10().load(root)


class Harm:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


@pytest.mark.parametrize("name", ["data_batch_3", "test_batch", "batches.meta"])
def test_an_altered_pickle_is_refused_and_not_run(root, tmp_path, published, name):
    harm = pickle.dumps(Harm(tmp_path / "written"))
    pickle.loads(harm).close()
    assert (tmp_path / "written").exists()  # what would have happened
    (tmp_path / "written").unlink()
    folder = published(python10(root))
    (folder / name).write_bytes(harm)
    with pytest.raises(RequestError, match=r"cifar-10-batches-py .*MD5.*http"):
        Cifar10().load(root)
    assert not (tmp_path / "written").exists()


def test_pickles_other_than_the_published_are_refused(root):
    python10(root)
    with pytest.raises(RequestError) as raised:
        Cifar10().load(root)
    assert str(raised.value) == (
        f"{root}/cifar-10-batches-py has a file that cannot be read or whose MD5 is not the "
        "published one. Download it again from https://www.cs.toronto.edu/~kriz/cifar.html"
    )
