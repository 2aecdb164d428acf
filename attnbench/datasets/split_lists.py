"""Data sets with published lists of files: Food-101, CUB-200-2011 and Stanford Dogs.

torchvision has only the first. Its class needs other lists of the archive (``meta/*.json``), which
have another order, and images have to stay in the order of their records.
"""

# constants take the place of properties
# pyright: reportIncompatibleMethodOverride=false, reportIncompatibleVariableOverride=false
# pyright: reportAssignmentType=false

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable
from pathlib import Path

from attnbench.datasets.dataset import Data, PublishedDataset
from attnbench.datasets.image_files import file_data, from_files
from attnbench.errors import RequestError
from attnbench.utils.text import describe


class FileListDataset(PublishedDataset):
    """A data set with lists of files; the parent folder of a file is its class."""

    images = "images"
    """Folder that the listed paths are relative to."""

    @abstractmethod
    def _lists(self, folder: Path) -> tuple[list[str], list[str]]:
        """Return the files for training and for testing, ``CLASS/IMAGE.jpg``."""

    def classes_here(self, folder: Path) -> list[str]:
        """Return the listed classes whose folders are there, sorted."""
        return self._present(folder, self._lists(folder))

    def _read(self, folder: Path) -> Data:
        lists = self._lists(folder)
        classes = self._present(folder, lists)
        numbers = {name: number for number, name in enumerate(classes)}
        listed = [
            [
                (f"{self.images}/{file}", numbers[_class(file)])
                for file in files
                if _class(file) in numbers
            ]
            for files in lists
        ]
        present = [[pair for pair in pairs if (folder / pair[0]).is_file()] for pairs in listed]
        if len(classes) >= self.classes:
            self.check(len(classes), *map(len, present))
        elif lost := sum(map(len, listed)) - sum(map(len, present)):
            raise self.damage_error(f"lacks {lost:,} of the listed images of its classes", folder)
        splits = [
            from_files(f"data set {self.name}, {split}", folder, files, tuple(classes))
            for split, files in zip(("training", "test"), present, strict=True)
        ]
        return self.with_counts(file_data(self.name, splits), len(classes), *map(len, present))

    def _present(self, folder: Path, lists: Iterable[Iterable[str]]) -> list[str]:
        names = {_class(file) for files in lists for file in files}
        return sorted(name for name in names if (folder / self.images / name).is_dir())


class Food101(FileListDataset):
    """Food-101 (Bossard, Guillaumin and Van Gool, ECCV 2014): 101 dishes, 1,000 photos each."""

    name = "food101"
    title = "Food-101 (Bossard et al., ECCV'14), photographs of dishes"
    page = "https://data.vision.ee.ethz.ch/cvl/datasets_extra/food-101/"
    terms = "photographs of foodspotting.com users; beyond scientific fair use ask the owners"
    classes = 101
    counts = (75_750, 25_250)
    archives = "food-101.tar.gz"
    places = ("food-101", "food101")
    needed = ("meta/train.txt", "meta/test.txt", "images")

    def _lists(self, folder: Path) -> tuple[list[str], list[str]]:
        train, test = (read_lines(folder / "meta" / f"{split}.txt") for split in ("train", "test"))
        return [f"{line}.jpg" for line in train], [f"{line}.jpg" for line in test]


class Cub200(FileListDataset):
    """Caltech-UCSD Birds-200-2011 (Wah, Branson, Welinder, Perona and Belongie): 200 species."""

    name = "cub200"
    title = "CUB-200-2011 (Wah et al., 2011), photographs of birds"
    page = "https://www.vision.caltech.edu/datasets/cub_200_2011/"
    terms = "non-commercial research and education; the photographs are their owners'"
    classes = 200
    counts = (5_994, 5_794)
    archives = "CUB_200_2011.tgz"
    places = ("CUB_200_2011", "cub200")
    needed = ("images.txt", "image_class_labels.txt", "train_test_split.txt", "images")

    def _lists(self, folder: Path) -> tuple[list[str], list[str]]:
        files, labels, marks = (self._values(folder / name) for name in self.needed[:3])
        if not files.keys() == marks.keys() == labels.keys() or not {*marks.values()} <= {"0", "1"}:
            names = ", ".join(self.needed[:3])
            raise self.damage_error(f"has lists that do not name the same images: {names}", folder)
        train, test = ([files[key] for key in files if marks[key] == mark] for mark in "10")
        return train, test

    def _values(self, path: Path) -> dict[str, str]:
        """Return the values by number from a file with lines ``NUMBER VALUE``."""
        try:
            return dict(line.split(maxsplit=1) for line in read_lines(path))
        except ValueError as error:
            raise self.damage_error("is damaged: a line is not NUMBER VALUE", path) from error


class StanfordDogs(FileListDataset):
    """Stanford Dogs (Khosla, Jayadevaprakash, Yao and Fei-Fei, FGVC 2011): 120 breeds of ImageNet.

    The lists are MATLAB files in ``lists`` or beside ``Images``.
    """

    name = "stanford-dogs"
    title = "Stanford Dogs (Khosla et al., 2011), photographs of 120 breeds"
    page = "http://vision.stanford.edu/aditya86/ImageNetDogs/"
    terms = "photographs of ImageNet: non-commercial research and education"
    classes = 120
    counts = (12_000, 8_580)
    archives = "images.tar and lists.tar"
    places = ("stanford-dogs", "StanfordDogs", ".")
    needed = ("Images", "lists/train_list.mat", "lists/test_list.mat")
    images = "Images"

    def _lists(self, folder: Path) -> tuple[list[str], list[str]]:
        train, test = map(self._files, self._paths(folder))
        return train, test

    def _files(self, path: Path) -> list[str]:
        from scipy.io import loadmat

        try:
            return [str(row[0]) for row in loadmat(str(path))["file_list"].ravel()]
        except Exception as error:  # the reader raises many kinds on damaged files
            problem = f"cannot be read as a list of files: {describe(error)}"
            raise self.damage_error(problem, path) from error

    def _holds(self, folder: Path) -> bool:
        return (folder / "Images").is_dir() and all(path.is_file() for path in self._paths(folder))

    def _paths(self, folder: Path) -> list[Path]:
        paths = [folder / name for name in self.needed[1:]]
        return [path if path.is_file() else folder / path.name for path in paths]


def read_lines(path: Path) -> list[str]:
    """Return the non-empty lines of a text file.

    Raises:
        RequestError: the file cannot be read.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RequestError(f"{path} cannot be read: {error}") from error
    return [line.strip() for line in text.splitlines() if line.strip()]


def _class(file: str) -> str:
    return file.rpartition("/")[0]
