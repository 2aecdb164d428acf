"""The folders of a data set's splits, by the names that people give them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from attnbench.datasets.image_files import is_image, printable, some
from attnbench.datasets.image_tree import class_names, entries, is_folder
from attnbench.errors import RequestError

TRAIN = ("train", "training")
TEST = ("val", "valid", "validation", "test", "testing", "eval", "evaluation", "dev")
"""Names of the splits, in any case; of several that are there the first one is used."""
EXPECTED = (
    "expected are train/CLASS/IMAGE and val/CLASS/IMAGE (or test/CLASS/IMAGE), CLASS/IMAGE alone, "
    "or labels=FILE.csv"
)
_DEPTH = 2


@dataclass(frozen=True)
class SplitLayout:
    """The folders that hold the class folders of a data set."""

    train: str
    """Folder relative to that of the data set; empty for that one itself."""
    test: str | None = None
    """The same for the test images; None if a split is to be made."""
    notes: tuple[str, ...] = ()


def find_layout(folder: Path, below: str = "") -> SplitLayout:
    """Return the folders of the splits, in a folder or in the only folder in it.

    Raises:
        RequestError: there are none; the error lists what there is.
    """
    here = folder / below
    within = {name: class_names(here / name) for name in class_names(here)}
    train, test = (
        [name for name in within if name.lower() in names and within[name]]
        for names in (TRAIN, TEST)
    )
    others = [name for name in within if within[name] and name not in {*train, *test}]
    # a single one may be the name of a class
    flat = [name for name in within if split_of(name) and not within[name]]
    if train and (test or not others):
        if len(train) > 1:
            raise RequestError(f"{here} has several training folders: {', '.join(train)}. Keep one")
        first = f"{below}{used_split(test)}" if test else None
        notes = [f"not used is {name}/, without class folders" for name in flat]
        return SplitLayout(f"{below}{train[0]}", first, (*unused_splits(test), *notes))
    if len(within) == 1 and not (flat or others) and _has_images(here, within):
        only = printable(next(iter(within)))
        raise RequestError(f"{here} has one class, {only}; two are the least; {EXPECTED}")
    if len(within) == 1 and not (train or test) and below.count("/") < _DEPTH:
        return find_layout(folder, f"{below}{next(iter(within))}/")
    if len(within) > 1 and len(flat) < 2 and not (train or test) and _has_images(here, within):
        return SplitLayout(below.removesuffix("/"))
    raise RequestError(f"{here} {_lack(train, test, flat)}: it holds {_content(here)}; {EXPECTED}")


def split_of(name: str) -> str | None:
    """Return ``train``, or the name of a test split in lower case; None for any other text."""
    word = name.strip().lower()
    return "train" if word in TRAIN else word if word in TEST else None


def used_split(names: Collection[str]) -> str:
    """Return the first of the test splits in a data set, which is the one that is used."""
    return min(names, key=lambda name: TEST.index(name.lower()))


def unused_splits(names: Collection[str]) -> list[str]:
    """Return a note of the test splits in a data set that are not used, if there are any."""
    used = used_split(names) if names else ""
    others = ", ".join(sorted({*names} - {used}))
    return [f"tested on {used}, not on {others}"] if others else []


def _has_images(here: Path, names: Iterable[str]) -> bool:
    """Return whether a class folder has an image of its own, not only further folders."""
    return any(
        is_image(Path(entry.path))
        for name in names
        for entry in entries(here / name)
        if not is_folder(entry)
    )


def _lack(train: Sequence[str], test: Sequence[str], flat: Sequence[str]) -> str:
    if train:
        return "has no val/ or test/ with class folders"
    if test:
        return "has no train/ with class folders"
    within = " and ".join(f"{name}/" for name in flat)
    return f"has no class folders in {within}" if flat else "has no class folders with images"


def _content(here: Path) -> str:
    found = entries(here)
    names = [f"{printable(entry.name)}{'/' if is_folder(entry) else ''}" for entry in found]
    return f"{some(names)} ({len(names):,} in all)" if len(names) > 3 else some(names) or "nothing"
