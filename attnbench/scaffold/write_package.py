"""Generation of a plugin package from its templates, as a whole or not at all."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from attnbench.errors import RequestError
from attnbench.scaffold.package_names import PackageNames
from attnbench.utils.text import shown_path

FILES = {
    "pyproject.toml": "pyproject.toml.j2",
    "README.md": "README.md.j2",
    ".gitignore": "gitignore.j2",
    ".github/workflows/test.yml": "workflow.yml.j2",
    "src/{module}/__init__.py": "table.py.j2",
    "src/{module}/module.py": "module.py.j2",
    "src/{module}/py.typed": "py.typed.j2",
    "tests/test_{module}.py": "test.py.j2",
}
"""Paths in the package, with the module's name, and the templates of their content."""


def written(names: PackageNames, folder: Path) -> list[Path]:
    """Write a package into a folder that does not exist or is empty; return its files.

    Raises:
        RequestError: the folder holds something, or cannot be written.
    """
    refuse_full(folder)
    content = rendered(names)
    try:
        _write(content, folder.expanduser().resolve())
    except OSError as error:
        raise RequestError(
            f"{shown_path(folder)} cannot be written: {error.strerror}; name another place with -o"
        ) from error
    return [folder / name for name in content]


def rendered(names: PackageNames) -> dict[str, str]:
    """Return the files of a package: path and content."""
    return {
        path.format(module=names.module): _environment().get_template(template).render(names=names)
        for path, template in FILES.items()
    }


def refuse_full(folder: Path) -> None:
    """Raise :class:`RequestError` unless the folder does not exist or is empty."""
    full = folder.expanduser()
    if not full.is_dir() and (full.exists() or full.is_symlink()):
        raise RequestError(f"{shown_path(folder)} is a file; name another folder with -o")
    try:
        first = next(full.iterdir(), None) if full.is_dir() else None
    except OSError as error:
        raise RequestError(f"{shown_path(folder)} cannot be read: {error.strerror}") from error
    if first is not None:
        raise RequestError(
            f"{shown_path(folder)} is not empty (it holds {first.name}); name another folder with "
            "-o, or remove it"
        )


def _write(content: Mapping[str, str], folder: Path) -> None:
    there = folder.is_dir()
    if not there:
        folder.parent.mkdir(parents=True, exist_ok=True)
    with _staged(folder if there else folder.parent) as stage:
        for name, text in content.items():
            (stage / name).parent.mkdir(parents=True, exist_ok=True)
            (stage / name).write_text(text, encoding="utf-8")
        if there:
            _move_all(stage, folder)
        else:
            stage.rename(folder)


@contextmanager
def _staged(parent: Path) -> Iterator[Path]:
    """Yield a folder beside the final place of its content; its remaining content is removed."""
    holder = Path(tempfile.mkdtemp(prefix=".attnbench-new-", dir=parent))
    stage = holder / "package"
    try:
        stage.mkdir()  # with the permissions of the user's folders: the holder has fewer
        yield stage
    finally:
        shutil.rmtree(holder, ignore_errors=True)


def _move_all(stage: Path, folder: Path) -> None:
    moved: list[Path] = []
    try:
        for path in sorted(stage.iterdir()):
            os.replace(path, folder / path.name)  # noqa: PTH105
            moved.append(folder / path.name)
    except BaseException:
        for path in moved:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        raise


@cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("attnbench.scaffold"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # no HTML
    )
