"""Caltech-UCSD Birds-200-2011 (Wah, Branson, Welinder, Perona and Belongie): 200 species."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from attnbench.datasets.split_lists import FileListDataset, read_lines
from attnbench.errors import RequestError


@dataclass(frozen=True)
class Cub200(FileListDataset):
    """The published split, read from the unpacked archive."""

    name = "cub200"
    title = "CUB-200-2011 (Wah et al., 2011), photographs of birds"
    page = "https://www.vision.caltech.edu/datasets/cub_200_2011/"
    terms = "non-commercial research and education; the photographs are their owners'"
    classes = 200
    counts = (5_994, 5_794)
    archives = "CUB_200_2011.tgz"
    places = ("CUB_200_2011", "cub200")
    needed = ("images.txt", "image_class_labels.txt", "train_test_split.txt", "images")

    def lists(self, folder: Path) -> tuple[list[str], list[str]]:
        """Return the files marked 1 in ``train_test_split.txt``, and those marked 0."""
        files, marks, labels = (
            _pairs(folder / name)
            for name in ("images.txt", "train_test_split.txt", "image_class_labels.txt")
        )
        if not files.keys() == marks.keys() == labels.keys() or not set(marks.values()) <= {
            "0",
            "1",
        }:
            raise RequestError(
                f"{folder}: images.txt, train_test_split.txt and image_class_labels.txt do not "
                "name the same images; download it again"
            )
        train, test = ([files[key] for key in files if marks[key] == mark] for mark in "10")
        return train, test


def _pairs(path: Path) -> dict[str, str]:
    """Return the values by number from a file with lines ``NUMBER VALUE``."""
    lines = [line.split(maxsplit=1) for line in read_lines(path)]
    if not all(len(line) == 2 for line in lines):
        raise RequestError(f"{path} is damaged: a line is not NUMBER VALUE; download it again")
    return {key: value for key, value in lines}  # noqa: C416 - lists, not pairs, to the type checker
