"""CIFAR-10 and CIFAR-100 (Krizhevsky, 2009): 60,000 images of 32x32.

The binary version is read as documented on its page: for each image one label byte (in CIFAR-100
two, coarse and fine), then 1,024 bytes each of red, green and blue, row by row. The Python version
is read too, without running the code that its pickles refer to.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from attnbench.datasets.dataset import Data, LabeledImages, in_memory
from attnbench.datasets.manual_download import ManualDownload
from attnbench.datasets.safe_pickle import ByteArray, read_plain_pickle
from attnbench.datasets.split_lists import read_lines
from attnbench.errors import RequestError

if TYPE_CHECKING:
    from torch import Tensor

_PIXELS = 3 * 32 * 32


class _Cifar(ManualDownload):
    page = "https://www.cs.toronto.edu/~kriz/cifar.html"
    terms = "none stated; cite Krizhevsky, 2009"
    label_bytes: ClassVar[int]
    """Number of label bytes of an image; the last one is the label."""
    files: ClassVar[tuple[Sequence[str], Sequence[str]]]
    """Files for training and testing in the Python version; the binary ones end in .bin."""
    names_text: ClassVar[str]
    names_pickle: ClassVar[tuple[str, str]]
    """File name of the pickle with the class names, and their key."""
    label_key: ClassVar[str]

    def load(self, root: Path) -> Data:
        """Return both splits, images of (3, 32, 32).

        Raises:
            RequestError: a file is damaged, or differs from the published one.
        """
        folder = self.found(root)
        classes = self._names(folder)
        read = self._binary if self._is_binary(folder) else self._pickled
        train, test = (
            self._samples(folder, [read(folder / name) for name in names], classes)
            for names in self.files
        )
        self.check(len(train), len(test))
        return Data(self.name, train, test)

    def _samples(
        self, folder: Path, parts: list[tuple[Tensor, Tensor]], classes: tuple[str, ...]
    ) -> LabeledImages:
        import torch

        images, targets = (torch.cat(column) for column in zip(*parts, strict=True))
        if len(targets) and not 0 <= int(targets.min()) <= int(targets.max()) < self.classes:
            raise RequestError(
                f"{folder} has labels {int(targets.min())} to {int(targets.max())}; "
                f"published are 0 to {self.classes - 1}; download it again from {self.page}"
            )
        return in_memory(images.view(-1, 3, 32, 32), targets, classes)

    def _names(self, folder: Path) -> tuple[str, ...]:
        if self._is_binary(folder):
            names = read_lines(folder / self.names_text)
        else:
            file, key = self.names_pickle
            names = [str(name) for name in read_plain_pickle(folder / file).get(key, ())]
        if len(names) != self.classes:
            raise RequestError(
                f"{folder} names {len(names)} classes, published are {self.classes}; "
                f"download it again from {self.page}"
            )
        return tuple(names)

    def _binary(self, path: Path) -> tuple[Tensor, Tensor]:
        import torch

        path = path.with_name(f"{path.name}.bin")
        record = self.label_bytes + _PIXELS
        try:
            content = path.read_bytes()
        except OSError as error:
            raise RequestError(f"{path} cannot be read: {error.strerror}") from error
        if not content or len(content) % record:
            raise RequestError(
                f"{path} is damaged: {len(content):,} bytes are no whole number of images of "
                f"{record:,}; download it again from {self.page}"
            )
        rows = torch.frombuffer(bytearray(content), dtype=torch.uint8).view(-1, record)
        return rows[:, self.label_bytes :], rows[:, self.label_bytes - 1].long()

    def _pickled(self, path: Path) -> tuple[Tensor, Tensor]:
        import torch

        found = read_plain_pickle(path)
        images, labels = found.get("data"), found.get(self.label_key)
        if (
            not isinstance(images, ByteArray)
            or not isinstance(labels, list)
            or not all(type(label) is int for label in labels)
            or not labels
            or images.shape != (len(labels), _PIXELS)
        ):
            raise RequestError(
                f"{path} does not hold images and {self.label_key}; "
                f"download it again from {self.page}"
            )
        pixels = torch.frombuffer(bytearray(images.content), dtype=torch.uint8)
        return pixels.view(-1, _PIXELS), torch.tensor(labels)

    def _is_binary(self, folder: Path) -> bool:
        return (folder / self.names_text).is_file()

    def _holds(self, folder: Path) -> bool:
        names = [name for split in self.files for name in split]
        needed = [self.names_text, *(f"{name}.bin" for name in names)]
        if not self._is_binary(folder):
            needed = [self.names_pickle[0], *names]
        return all((folder / name).is_file() for name in needed)


@dataclass(frozen=True)
class Cifar10(_Cifar):
    """Ten classes, 5,000 images each for training and 1,000 for testing."""

    name = "cifar10"
    title = "CIFAR-10 (Krizhevsky, 2009), 32x32"
    classes = 10
    counts = (50_000, 10_000)
    archives = "cifar-10-binary.tar.gz"
    places = ("cifar-10-batches-bin", "cifar-10-batches-py")
    needed = ("batches.meta.txt", "data_batch_1.bin to data_batch_5.bin", "test_batch.bin")
    label_bytes = 1
    files = (tuple(f"data_batch_{number}" for number in range(1, 6)), ("test_batch",))
    names_text = "batches.meta.txt"
    names_pickle = ("batches.meta", "label_names")
    label_key = "labels"


@dataclass(frozen=True)
class Cifar100(_Cifar):
    """A hundred classes, 500 images each for training and 100 for testing."""

    name = "cifar100"
    title = "CIFAR-100 (Krizhevsky, 2009), 32x32, the hundred fine labels"
    classes = 100
    counts = (50_000, 10_000)
    archives = "cifar-100-binary.tar.gz"
    places = ("cifar-100-binary", "cifar-100-python")
    needed = ("fine_label_names.txt", "train.bin", "test.bin")
    label_bytes = 2
    files = (("train",), ("test",))
    names_text = "fine_label_names.txt"
    names_pickle = ("meta", "fine_label_names")
    label_key = "fine_labels"
