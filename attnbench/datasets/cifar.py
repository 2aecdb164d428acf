"""CIFAR-10 and CIFAR-100 (Krizhevsky, 2009): 60,000 images of 32x32.

The Python version is read by torchvision, which unpickles only files with the published MD5. In the
binary version, an image is one label byte (in CIFAR-100 two, coarse and fine), then 1,024 bytes
each of red, green and blue, row by row.
"""

# constants take the place of properties
# pyright: reportIncompatibleMethodOverride=false, reportIncompatibleVariableOverride=false
# pyright: reportAssignmentType=false

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from attnbench.datasets.dataset import Data, PublishedDataset
from attnbench.datasets.split_lists import read_lines

if TYPE_CHECKING:
    from torch import Tensor


class _Cifar(PublishedDataset):
    page = "https://www.cs.toronto.edu/~kriz/cifar.html"
    terms = "none stated; cite Krizhevsky, 2009"
    counts = (50_000, 10_000)
    reader: ClassVar[str]
    """Name of torchvision's class."""
    label_bytes: ClassVar[int]
    """Number of label bytes of an image; the last one is the label."""
    files: ClassVar[tuple[Sequence[str], Sequence[str]]]
    """Files for training and testing in the Python version; the binary ones end in .bin."""
    names: ClassVar[tuple[str, str]]
    """Files of the class names in the binary and in the Python version."""

    def _read(self, folder: Path) -> Data:
        if not (folder / self.names[0]).is_file():
            return self._pickled(folder)
        splits = [self._binary([folder / f"{name}.bin" for name in names]) for names in self.files]
        return self.in_memory(read_lines(folder / self.names[0]), splits)

    def _pickled(self, folder: Path) -> Data:
        import torch
        from torchvision import datasets

        reader = getattr(datasets, self.reader)
        try:
            found = [reader(folder.parent, train=train) for train in (True, False)]
        except (RuntimeError, OSError) as error:  # raised before a file is unpickled
            problem = "has a file that cannot be read or whose MD5 is not the published one"
            raise self.damage_error(problem, folder) from error
        splits = [
            (torch.from_numpy(split.data).permute(0, 3, 1, 2), torch.tensor(split.targets))
            for split in found
        ]
        return self.in_memory(found[0].classes, splits)

    def _binary(self, paths: Sequence[Path]) -> tuple[Tensor, Tensor]:
        import torch

        size, content = self.label_bytes + 3 * 32 * 32, bytearray()
        for path in paths:
            try:
                part = path.read_bytes()
            except OSError as error:
                raise self.damage_error(f"cannot be read: {error.strerror}", path) from error
            if not part or len(part) % size:
                problem = f"is damaged: {len(part):,} bytes, an image has {size:,}"
                raise self.damage_error(problem, path)
            content += part
        rows = torch.frombuffer(content, dtype=torch.uint8).view(-1, size)
        images, targets = rows[:, self.label_bytes :], rows[:, self.label_bytes - 1]
        return images.reshape(-1, 3, 32, 32), targets

    def _holds(self, folder: Path) -> bool:
        names = [name for split in self.files for name in split]
        binary = [self.names[0], *(f"{name}.bin" for name in names)]
        needed = binary if (folder / binary[0]).is_file() else [self.names[1], *names]
        return all((folder / name).is_file() for name in needed)


class Cifar10(_Cifar):
    """Ten classes, 5,000 images each for training and 1,000 for testing."""

    name = "cifar10"
    title = "CIFAR-10 (Krizhevsky, 2009), 32x32"
    classes = 10
    archives = "cifar-10-binary.tar.gz"
    places = ("cifar-10-batches-bin", "cifar-10-batches-py")
    needed = ("batches.meta.txt", "data_batch_1.bin to data_batch_5.bin", "test_batch.bin")
    reader = "CIFAR10"
    label_bytes = 1
    files = (tuple(f"data_batch_{number}" for number in range(1, 6)), ("test_batch",))
    names = ("batches.meta.txt", "batches.meta")


class Cifar100(_Cifar):
    """A hundred classes, 500 images each for training and 100 for testing."""

    name = "cifar100"
    title = "CIFAR-100 (Krizhevsky, 2009), 32x32, the hundred fine labels"
    classes = 100
    archives = "cifar-100-binary.tar.gz"
    places = ("cifar-100-binary", "cifar-100-python")
    needed = ("fine_label_names.txt", "train.bin", "test.bin")
    reader = "CIFAR100"
    label_bytes = 2
    files = (("train",), ("test",))
    names = ("fine_label_names.txt", "meta")
