"""Image files below the folder of a data set, and the other files there, by kind.

torchvision's ``ImageFolder`` is not used: the listing of data sets needs names and sizes of files
without torch, and it would follow circular links, include hidden files and skip unreadable folders.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath

from attnbench.datasets.image_files import has_reader, is_image
from attnbench.errors import RequestError

_ENDINGS = {
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".apng", ".ppm", ".pgm", ".pbm", ".pnm", ".bmp"),
    *(".dib", ".gif", ".tif", ".tiff", ".webp", ".avif", ".jp2", ".heic", ".heif", ".hif", ".jxl"),
}
"""Name endings of image files; any other file is opened to see whether it is an image."""
_HEIC = {".heic", ".heif", ".hif"}
_SYSTEM = {"thumbs.db", "desktop.ini", "__macosx", "@eadir", "$recycle.bin", "lost+found"}
"""Files and folders of operating systems; like hidden ones they are not counted."""
Files = list[tuple[str, int]]
"""Paths relative to the folder of the data set, with sizes in bytes."""


@dataclass(frozen=True)
class FileListing:
    """The image files of a data set by split and class."""

    splits: Mapping[str, Mapping[str, Files]]
    """Training and test split, or the one before a split is made: name -> class -> files."""
    notes: Sequence[str] = ()
    left_out: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Files that are left out, by the reason."""
    by_path: bool = True
    """Whether the paths show splits and classes."""

    def __iter__(self) -> Iterator[str]:
        """Yield a text for each file, with all that an accuracy depends on but its content."""
        for split, classes in self.splits.items():
            for label, files in classes.items():
                place = "" if self.by_path else f"{split}\0{label}\0"  # no name has a zero byte
                yield from (f"{place}{file}\0{size}\0" for file, size in files)


class ImageTree:
    """The files below a folder. Links are followed, but each real folder is read only once.

    Args:
        folder: the folder of the data set.
        roots: folders in it to be read, relative to it: a link to one of them from below another
            one is not followed.
    """

    def __init__(self, folder: Path, roots: Iterable[str] = ()) -> None:
        self.folder = folder
        self.left_out: dict[str, list[str]] = {}
        """Files that are no images, by kind."""
        above = {str(parent) for root in roots for parent in PurePath(root).parents}
        self._seen = {os.path.realpath(folder / path) for path in {*roots, *above, "."}}

    def files(self, below: str) -> Files:
        """Return the image files in a folder and its subfolders, sorted.

        Raises:
            RequestError: a folder cannot be read.
        """
        return sorted(self._walk(below))

    def _walk(self, below: str) -> Iterator[tuple[str, int]]:
        # folders before links to them, whatever their names
        for entry in sorted(entries(self.folder / below), key=os.DirEntry.is_symlink):
            path = f"{below}{entry.name}"
            if not is_folder(entry):
                yield from self._file(path, entry)
            elif (real := os.path.realpath(entry.path)) not in self._seen:
                self._seen.add(real)
                yield from self._walk(f"{path}/")

    def _file(self, path: str, entry: os.DirEntry[str]) -> Iterator[tuple[str, int]]:
        try:
            regular, size = entry.is_file(), entry.stat().st_size
        except OSError:  # a link that leads nowhere, or to itself
            regular, size = False, 0
        ending = PurePath(path).suffix
        known = ending.lower() in _ENDINGS
        if regular and ((known and has_reader(ending.lower())) or is_image(Path(entry.path))):
            yield path, size
        elif regular:
            self._leave_out(_kind(ending, known=known), path)
        elif entry.is_symlink():
            self._leave_out("broken link", path)

    def _leave_out(self, kind: str, path: str) -> None:
        self.left_out.setdefault(kind, []).append(path)


def class_names(folder: Path) -> list[str]:
    """Return the names of the folders in a folder, sorted; none where it cannot be read.

    Hidden folders are excluded, links to folders are included.
    """
    try:
        return sorted(entry.name for entry in entries(folder) if is_folder(entry))
    except RequestError:
        return []


def entries(folder: Path) -> list[os.DirEntry[str]]:
    """Return the files and folders in a folder, sorted, without hidden ones and a system's.

    Raises:
        RequestError: the folder cannot be read.
    """
    try:
        with os.scandir(folder) as scanned:
            found = [
                entry
                for entry in scanned
                if entry.name[0] != "." and entry.name.lower() not in _SYSTEM
            ]
    except OSError as error:
        raise RequestError(f"folder {folder} cannot be read: {error.strerror}") from error
    return sorted(found, key=lambda entry: entry.name)


def is_folder(entry: os.DirEntry[str]) -> bool:
    """Return whether an entry is a folder, or a link to one."""
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def _kind(ending: str, *, known: bool) -> str:
    if ending.lower() in _HEIC:
        return f"{ending} (no reader: pip install pillow-heif)"
    if known:
        return f"{ending} (no reader)"
    return ending or "without a name ending"
