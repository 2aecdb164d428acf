"""Stanford Dogs (Khosla, Jayadevaprakash, Yao and Fei-Fei, FGVC 2011): 120 breeds of ImageNet."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from attnbench.datasets.split_lists import FileListDataset
from attnbench.errors import RequestError
from attnbench.utils.text import describe

_LISTS = ("train_list.mat", "test_list.mat")


@dataclass(frozen=True)
class StanfordDogs(FileListDataset):
    """The published split, from lists (MATLAB files) in ``lists`` or beside ``Images``."""

    name = "stanford-dogs"
    title = "Stanford Dogs (Khosla et al., 2011), photographs of 120 breeds"
    page = "http://vision.stanford.edu/aditya86/ImageNetDogs/"
    terms = "photographs of ImageNet: non-commercial research and education"
    classes = 120
    counts = (12_000, 8_580)
    archives = "images.tar and lists.tar"
    places = ("stanford-dogs", "StanfordDogs", ".")
    needed = ("Images", *(f"lists/{name}" for name in _LISTS))
    images = "Images"

    def lists(self, folder: Path) -> tuple[list[str], list[str]]:
        """Return the entries ``file_list`` of both lists."""
        train, test = (_file_list(_list(folder, name)) for name in _LISTS)
        return train, test

    def _holds(self, folder: Path) -> bool:
        return (folder / "Images").is_dir() and all(
            _list(folder, name).is_file() for name in _LISTS
        )


def _list(folder: Path, name: str) -> Path:
    return folder / "lists" / name if (folder / "lists" / name).is_file() else folder / name


def _file_list(path: Path) -> list[str]:
    from scipy.io import loadmat

    try:
        return [str(row[0]) for row in loadmat(str(path))["file_list"].ravel()]
    except Exception as error:  # the reader raises many kinds on damaged files
        raise RequestError(
            f"{path} cannot be read as a list of files: {describe(error)}; download it again"
        ) from error
