"""A plugin package, its names and its files from templates, written as a whole or not at all."""

from __future__ import annotations

import builtins
import keyword
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import requires
from importlib.util import find_spec
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from attnbench.errors import RequestError
from attnbench.registry.backbone_names import is_backbone
from attnbench.registry.plugins import Catalog
from attnbench.utils.text import shown_path

LONGEST = 28
"""Maximum length of a name: tables have columns, and generated lines are formatted for it."""
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
_RULE = "lower case letters, digits and single underscores, a letter first"
_VALID = re.compile(r"[a-z][a-z0-9]*(?:_[a-z0-9]+)*")
_OURS = ("attnbench", "attnbench_modules", "attnbench_suites")
_FOLDERS = ("conftest", "setup", "src", "tests")
"""Names that lie beside the package, or that pytest and setuptools reserve."""
_IMPORTED = frozenset(
    {"Any", "Card", "ClassVar", "Constraint", "ModuleConformance", "Tensor", "Traits"}
)
"""Names that the templates import."""


@dataclass(frozen=True)
class PackageNames:
    """One name in all the spellings that a package needs."""

    module: str
    """Name in the registry, and of the Python package: ``my_attention``."""

    @property
    def distribution(self) -> str:
        """Name for pip: ``my-attention``."""
        return self.module.replace("_", "-")

    @property
    def title(self) -> str:
        """Name in tables: ``My attention``."""
        return self.module.replace("_", " ").capitalize()

    @property
    def cls(self) -> str:
        """Name of the class: ``MyAttention``; with a suffix where Python or a template has it."""
        name = "".join(part.capitalize() for part in self.module.split("_"))
        taken = name in _IMPORTED or hasattr(builtins, name)
        return f"{name}Attention" if taken else name


def check_name(requested: str, catalog: Catalog) -> PackageNames:
    """Return the names of a new plugin; hyphens are read as underscores.

    Raises:
        RequestError: the name is invalid or taken; the message proposes another one.
    """
    name = requested.replace("-", "_")
    if not _VALID.fullmatch(name):
        example = f", for example {near}" if (near := _repaired(requested)) else ""
        raise RequestError(f"name is invalid: got {requested!r}. Use {_RULE}{example}.")
    if len(name) > LONGEST:
        raise RequestError(
            f"name is too long: got {requested!r} with {len(name)} characters. "
            f"Use at most {LONGEST}."
        )
    if problem := _taken(name, catalog):
        raise RequestError(
            f"name is taken: got {requested!r}, {problem}. Use another, for example my_{name}."
        )
    return PackageNames(name)


def write_package(names: PackageNames, folder: Path) -> list[Path]:
    """Write a package into a folder that does not exist or is empty; return its files.

    Raises:
        RequestError: the folder holds something, or cannot be written.
    """
    _refuse_full(folder)
    content = render(names)
    try:
        _write(content, folder.expanduser().resolve())
    except OSError as error:
        raise RequestError(
            f"{shown_path(folder)} cannot be written: {error.strerror}. Use another folder with -o."
        ) from error
    return [folder / name for name in content]


def render(names: PackageNames) -> dict[str, str]:
    """Return the files of a package: path and content."""
    environment = Environment(
        loader=PackageLoader("attnbench.scaffold"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # no HTML
    )
    return {
        path.format(module=names.module): environment.get_template(template).render(names=names)
        for path, template in FILES.items()
    }


def _taken(name: str, catalog: Catalog) -> str | None:
    if keyword.iskeyword(name):
        return "a keyword of Python"
    if name in catalog.modules:
        return f"a registered module of {catalog.modules.entry(name).origin}"
    if is_backbone(name):
        return "a backbone"
    if name in sys.stdlib_module_names or name in _FOLDERS or name.startswith("test_"):
        return "a name of Python, pytest or setuptools"
    if name in _OURS or name in _libraries() or _is_installed(name):
        return "an installed package or one that attnbench uses"
    return None


def _libraries() -> set[str]:
    """Return the packages that attnbench requires, extras included, installed or not."""
    found = (re.match(r"[\w.-]+", requirement) for requirement in requires("attnbench") or ())
    return {match[0].replace("-", "_").lower() for match in found if match}


def _is_installed(name: str) -> bool:
    try:
        spec = find_spec(name)
    except (ImportError, ValueError):
        return True
    # a folder without __init__.py, for example the target folder, is no regular package
    return spec is not None and spec.origin is not None


def _repaired(text: str) -> str:
    """Return the nearest valid name; empty where there is none."""
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", text)
    name = "_".join(re.findall(r"[a-z0-9]+", words.lower())).lstrip("0123456789_")
    return name[:LONGEST].rstrip("_")


def _refuse_full(folder: Path) -> None:
    """Raise :class:`RequestError` unless the folder does not exist or is empty."""
    full, shown = folder.expanduser(), shown_path(folder)
    if not full.is_dir() and (full.exists() or full.is_symlink()):
        raise RequestError(f"{shown} is a file. Use another folder with -o.")
    try:
        first = next(full.iterdir(), None) if full.is_dir() else None
    except OSError as error:
        raise RequestError(f"{shown} cannot be read: {error.strerror}") from error
    if first is not None:
        raise RequestError(
            f"{shown} is not empty: it holds {first.name}. "
            "Use another folder with -o, or remove it."
        )


def _write(content: Mapping[str, str], folder: Path) -> None:
    there = folder.is_dir()
    if not there:
        folder.parent.mkdir(parents=True, exist_ok=True)
    place = folder if there else folder.parent
    with tempfile.TemporaryDirectory(
        prefix=".attnbench-new-", dir=place, ignore_cleanup_errors=True
    ) as holder:
        stage = Path(holder) / "package"
        stage.mkdir()  # with the permissions of the user's folders: the holder has fewer
        for name, text in content.items():
            (stage / name).parent.mkdir(parents=True, exist_ok=True)
            (stage / name).write_text(text, encoding="utf-8")
        if there:
            _move_all(stage, folder)
        else:
            stage.rename(folder)


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
