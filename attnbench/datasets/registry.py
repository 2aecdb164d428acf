"""Registry of data sets by name. Listing them imports neither torch nor their readers."""

from __future__ import annotations

import pkgutil
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from attnbench.datasets.dataset import Data, Dataset, data_root
from attnbench.errors import MissingExtraError, RequestError, unknown
from attnbench.registry.specs import parse_spec

FOLDER = "folder:"
LABELS = ",labels="
"""Option of a user's own folder: a table of files and labels."""
_SHIPPED = {
    "digits": "attnbench.datasets.digits:Digits",
    "fashion-mnist": "attnbench.datasets.fashion_mnist:FashionMnist",
    "cifar10": "attnbench.datasets.cifar:Cifar10",
    "cifar100": "attnbench.datasets.cifar:Cifar100",
    "food101": "attnbench.datasets.split_lists:Food101",
    "cub200": "attnbench.datasets.split_lists:Cub200",
    "stanford-dogs": "attnbench.datasets.split_lists:StanfordDogs",
    "imagenet": "attnbench.datasets.image_folder:ImageNet",
    "synthetic": "attnbench.datasets.synthetic:Synthetic",
}


def datasets() -> list[str]:
    """Return the names of all data sets in a fixed order; the last is a user's own folder."""
    return [*_SHIPPED, f"{FOLDER}PATH"]


def dataset(spec: str) -> Dataset:
    """Return a data set, whether or not it is present (see its ``missing``).

    Args:
        spec: a name, with its options, if any (``synthetic,classes=4``), ``folder:PATH`` or
            ``folder:PATH,labels=FILE.csv``.

    Raises:
        UnknownNameError: no such data set; near misses are suggested.
        RequestError: the data set has no such option, or the path is empty.
    """
    if spec.startswith(FOLDER):
        from attnbench.datasets.image_folder import Folder

        # the last one: a path may have commas and equals signs
        start, given, labels = spec.rpartition(LABELS)
        path = (start if given else spec).removeprefix(FOLDER)
        if not path.strip() or (given and not labels.strip()):
            raise RequestError(f"data set {spec!r} has no path. Write {FOLDER}PATH.")
        folder = Folder(str(Path(path)), Path(path).expanduser().absolute())
        table = Path(labels)
        full = table.expanduser().absolute()
        return replace(folder, labels=str(table), table=full) if given else folder
    parsed = parse_spec(spec, "data set")
    way_out = f"Your own images: {FOLDER}PATH, with PATH/train/CLASS/ and PATH/val/CLASS/."
    if parsed.name not in _SHIPPED:
        raise unknown("data set", parsed.name, _SHIPPED, way_out=way_out)
    kind: Callable[..., Dataset] = pkgutil.resolve_name(_SHIPPED[parsed.name])
    try:
        return kind(**parsed.options)
    except TypeError as error:
        options = ", ".join(sorted(parsed.options))
        raise RequestError(f"data set {spec!r}: {parsed.name} has no option {options}") from error


def with_labels(spec: str, table: Path) -> str:
    """Return the spec of a user's own folder with a table of files and labels.

    Raises:
        RequestError: it is another data set, or has a table.
    """
    if not spec.startswith(FOLDER) or LABELS in spec:
        raise RequestError(
            f"labels need a folder without them: got {spec!r}. Write --dataset {FOLDER}PATH"
        )
    return f"{spec}{LABELS}{table}"


def load(spec: str) -> Data:
    """Return a data set, read from :func:`data_root`; the last two are cached.

    Raises:
        UnknownNameError: no such data set.
        MissingExtraError: it is absent; the text gives the files to download and their folder.
        RequestError: files are damaged, or differ from the published ones.
    """
    return _loaded(dataset(spec), data_root())


@lru_cache(maxsize=2)
def _loaded(found: Dataset, root: Path) -> Data:
    missing = found.missing(root)
    if missing is not None:
        raise MissingExtraError(missing)
    return found.load(root)


def describe_dataset(name: str) -> dict[str, Any]:
    """Return the row of a listing: title, classes, published counts, page, folder or instructions.

    Raises:
        UnknownNameError: no such data set.
    """
    found, root = dataset(name), data_root()
    missing, where = found.missing(root), found.where(root)
    train, test = found.counts or (None, None)
    return {
        "name": found.name,
        "title": found.title,
        "classes": found.classes,
        "train": train,
        "test": test,
        "page": found.page,
        "terms": found.terms,
        "available": missing is None,
        "missing": missing,
        "where": None if where is None else str(where),
    }
