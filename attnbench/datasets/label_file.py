"""Tables of files and their labels: ``file,label`` or ``file,label,split``."""

from __future__ import annotations

import csv
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from unicodedata import normalize

from attnbench.datasets.image_files import printable, some, too_many
from attnbench.datasets.image_tree import FileListing, Files, ImageTree
from attnbench.datasets.split_layout import split_of, unused_splits, used_split
from attnbench.errors import RequestError

_DELIMITERS = ",;\t| "
_NAMES = (
    {"file", "filename", "filepath", "path", "image", "imagename", "imagepath", "imageid", "img"}
    | {"imgname", "imgpath", "imgid", "id", "name", "photo"},
    {"label", "labels", "labelname", "class", "classname", "classid", "category", "target"}
    | {"species", "breed", "y"},
    {"split", "set", "subset", "fold", "partition"},
)
"""Names of the columns of files, labels and splits, in lower case, without underscores."""
_EXPECTED = "Expected are the columns file,label or file,label,split."


@dataclass(frozen=True)
class _Row:
    line: int
    file: str
    label: str
    split: str = ""


def read_labels(table: Path, folder: Path) -> FileListing:
    """Return the files of a table by split and label; in one split if the table has none.

    Paths are relative to the data set, to the table or to the parent folder of the data set; they
    may lack the name ending, or all folders if the name is unique.

    Raises:
        RequestError: the table cannot be read, or contradicts itself or the folder.
    """
    tree = ImageTree(folder)
    images = _ImageIndex(folder, table.parent, tree.files(""))
    rows = _rows(table, images)
    used, left_out = _find_images(table, rows, images, tree)
    lost = sum(map(len, left_out.values()))
    if not used or too_many(lost, len(rows)):
        kinds = [f"{len(files):,} {kind}: {some(files)}" for kind, files in left_out.items()]
        raise RequestError(
            f"labels {table}: {lost:,} of {len(rows):,} lines cannot be used: {'; '.join(kinds)}. "
            f"Paths are relative to {folder} or to the table."
        )
    splits = _splits(table, used)
    names = {split for split in splits.values() if split}
    chosen = ["train", used_split(names - {"train"})] if names else [""]
    found: dict[str, dict[str, Files]] = {split: {} for split in chosen}
    for path, row in sorted(used.items(), key=lambda item: (item[1].label, item[0])):
        if splits[path] in found:
            files = found[splits[path]].setdefault(row.label, [])
            files.append((path, images.sizes[path]))
    notes = [f"labels of {table.name}", *unused_splits(names - {"train"})]
    return FileListing(found, notes, left_out, by_path=False)


class _ImageIndex:
    """The image files of a data set by their paths and names, with and without the ending."""

    def __init__(self, folder: Path, beside: Path, files: Files) -> None:
        self.folder = folder
        self.bases = (folder, beside.absolute(), folder.parent)
        self.sizes = dict(files)

    @cached_property
    def _known(self) -> Mapping[str, set[str]]:
        known: dict[str, set[str]] = {}
        for path in self.sizes:
            pure = PurePosixPath(_plain(path))
            for key in (str(pure), str(pure.with_suffix("")), pure.name, pure.stem):
                known.setdefault(key, set()).add(path)
        return known

    def find(self, name: str) -> str | None:
        """Return the path of a named file, relative to the data set; None if there is none.

        Raises:
            RequestError: several files have the name.
        """
        if name in self.sizes:
            return name
        for base in self.bases:
            key = os.path.relpath(base / _plain(name), self.folder)
            found = sorted(self._known.get(key, ()))
            if len(found) > 1:
                raise RequestError(
                    f"file {name!r} is ambiguous: got {some(map(printable, found))}. Write its "
                    "path with the name ending."
                )
            if found:
                return found[0]
        return None


def _plain(path: str) -> str:
    """Return a path in one form: slashes, composed characters."""
    return normalize("NFC", path.replace("\\", "/"))


def _rows(table: Path, images: _ImageIndex) -> list[_Row]:
    try:
        lines = table.read_text(encoding="utf-8-sig").splitlines()
    except OSError as error:
        raise RequestError(f"labels {table} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise RequestError(f"labels {table} cannot be read: they are not UTF-8") from error
    cells = _cells(table, lines)
    header = [cell.lower().replace("_", "").replace(" ", "") for cell in cells[0][1]]
    named = any(cell in names for cell in header for names in _NAMES[:2])
    if named and images.find(cells[0][1][0]) is None:
        file, label, split = _columns(table, header)
        cells = cells[1:]
    elif len(header) > 3:
        raise RequestError(f"labels {table} have {len(header)} columns, but no header. {_EXPECTED}")
    else:
        file, label, split = 0, 1, 2 if len(header) == 3 else None
    return [
        _Row(line, row[file], row[label], row[split] if split is not None else "")
        for line, row in cells
    ]


def _columns(table: Path, header: Sequence[str]) -> tuple[int, int, int | None]:
    """Return the columns of files, labels and splits; one of the first two may have any name."""
    file, label, split = (
        next((at for at, cell in enumerate(header) if cell in names), None) for names in _NAMES
    )
    free = [at for at in range(len(header)) if at not in {file, label, split}]
    if (file is None or label is None) and len(free) != 1:
        raise RequestError(
            f"labels {table} have no column of {'files' if file is None else 'labels'}: got "
            f"{', '.join(header)}. {_EXPECTED}"
        )
    return free[0] if file is None else file, free[0] if label is None else label, split


def _cells(table: Path, lines: Sequence[str]) -> list[tuple[int, list[str]]]:
    """Return the cells of each line with its number, by the delimiter that all lines have."""
    kept = [(number, line) for number, line in enumerate(lines, 1) if line.strip()]
    texts = [line for _, line in kept]
    for delimiter in _DELIMITERS:
        read = csv.reader(texts, delimiter=delimiter, skipinitialspace=delimiter != "\t")
        cells = [[cell.strip() for cell in row] for row in read]
        if len(cells) == len(kept) and len({*map(len, cells)}) == 1 and len(cells[0]) > 1:
            return [(number, row) for (number, _), row in zip(kept, cells, strict=True)]
    first = repr(texts[0][:60]) if texts else "an empty file"
    raise RequestError(
        f"labels {table} are no table of as many columns in each line: got {first}. {_EXPECTED}"
    )


def _find_images(
    table: Path, rows: Sequence[_Row], images: _ImageIndex, tree: ImageTree
) -> tuple[dict[str, _Row], dict[str, list[str]]]:
    """Return the rows by the path of their image, and the other files by the reason."""
    used: dict[str, _Row] = {}
    left_out: dict[str, list[str]] = {}
    reasons = {path: kind for kind, paths in tree.left_out.items() for path in paths}
    for row in rows:
        path = images.find(row.file)
        if path is None:
            reason = reasons.get(row.file, f"named in {table.name} and not there")
        elif not row.label:
            reason = "without a label"
        elif path in used:
            reason = "named twice"
            _check_same(table, used[path], row)
        else:
            used[path] = row
            continue
        left_out.setdefault(reason, []).append(row.file)
    return used, left_out


def _check_same(table: Path, first: _Row, second: _Row) -> None:
    for kind in ("label", "split"):
        values = getattr(first, kind), getattr(second, kind)
        if values[0] != values[1]:
            raise RequestError(
                f"labels {table}, line {second.line}: file {second.file!r} has another {kind} than "
                f"in line {first.line}: got {values[1]!r} and {values[0]!r}. Remove a line."
            )


def _splits(table: Path, rows: Mapping[str, _Row]) -> dict[str, str]:
    """Return the split of each file, from its row or its topmost folder; empty if there is none."""
    stated = any(row.split for row in rows.values())
    found = {
        path: split_of(row.split if stated else path.partition("/")[0])
        for path, row in rows.items()
    }
    names = {*found.values()}
    unknown = next((row for path, row in rows.items() if found[path] is None), None)
    if stated and unknown is not None:
        raise RequestError(
            f"labels {table}, line {unknown.line}: split is unknown: got {unknown.split!r}. Write "
            "train or val."
        )
    if stated and "train" not in names:
        raise RequestError(
            f"labels {table} have no line of split train: got {some(map(str, names))}"
        )
    whole = None not in names and "train" in names and len(names) > 1
    return {path: (split or "") if whole else "" for path, split in found.items()}
