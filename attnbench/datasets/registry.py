"""Registry of data sets by name. Listing them imports neither torch nor their readers."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, cast

from attnbench.datasets.dataset import Data, Dataset, data_root
from attnbench.errors import MissingExtraError, RequestError
from attnbench.registry.registry import Entry, Registry
from attnbench.registry.specs import parse_spec

__all__ = ["Dataset", "data_root", "dataset", "datasets", "describe_dataset", "load"]

FOLDER = "folder:"
_SHIPPED = {
    "digits": "attnbench.datasets.digits:Digits",
    "fashion-mnist": "attnbench.datasets.fashion_mnist:FashionMnist",
    "cifar10": "attnbench.datasets.cifar:Cifar10",
    "cifar100": "attnbench.datasets.cifar:Cifar100",
    "food101": "attnbench.datasets.food101:Food101",
    "cub200": "attnbench.datasets.cub200:Cub200",
    "stanford-dogs": "attnbench.datasets.stanford_dogs:StanfordDogs",
    "imagenet": "attnbench.datasets.imagenet:ImageNet",
    "synthetic": "attnbench.datasets.synthetic:Synthetic",
}


def datasets() -> list[str]:
    """Return the names of all data sets in a fixed order; the last is a user's own folder."""
    return [*_registry().entries(), f"{FOLDER}PATH"]


def dataset(spec: str) -> Dataset:
    """Return a data set, whether or not it is present (see its ``missing``).

    Args:
        spec: a name, with its options, if any (``synthetic,classes=4``), or ``folder:PATH``.

    Raises:
        UnknownNameError: no such data set; near misses are suggested.
        RequestError: the data set has no such option.
    """
    if spec.startswith(FOLDER):
        from attnbench.datasets.folder import Folder

        # class variables implement the protocol's read-only properties
        return cast("Dataset", Folder.given(spec.removeprefix(FOLDER)))
    parsed = parse_spec(spec, "data set")
    way_out = f"Your own images: {FOLDER}PATH, with PATH/train/CLASS/ and PATH/test/CLASS/."
    found = _registry().get(parsed.name, way_out=way_out)
    try:
        return found(**parsed.options)
    except TypeError as error:
        options = ", ".join(sorted(parsed.options))
        raise RequestError(f"data set {spec!r}: {parsed.name} has no option {options}") from error


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


@cache
def _registry() -> Registry[Callable[..., Dataset]]:
    registry: Registry[Callable[..., Dataset]] = Registry("data set")
    for name, target in _SHIPPED.items():
        registry.add(Entry(name=name, target=target, origin="attnbench"))
    return registry
