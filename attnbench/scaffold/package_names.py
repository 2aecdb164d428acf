"""Names of a new plugin: the valid ones, and the derived ones of its package and class."""

from __future__ import annotations

import builtins
import keyword
import re
import sys
from dataclasses import dataclass
from importlib.metadata import requires
from importlib.util import find_spec

from attnbench.errors import RequestError
from attnbench.registry.backbone_names import is_backbone
from attnbench.registry.plugins import Catalog

LONGEST = 28
"""Maximum length of a name: tables have columns, and generated lines are formatted for it."""
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


def checked_name(asked: str, catalog: Catalog) -> PackageNames:
    """Return the names of a new plugin; hyphens are read as underscores.

    Raises:
        RequestError: the name is invalid or taken; the message proposes another one.
    """
    name = asked.replace("-", "_")
    if not _VALID.fullmatch(name):
        near = _repaired(asked)
        hint = f"; for example {near}" if near else ""
        raise RequestError(f"name {asked!r}: write {_RULE}{hint}")
    if len(name) > LONGEST:
        raise RequestError(f"name {asked!r} has {len(name)} characters; {LONGEST} are the most")
    problem = _taken(name, catalog)
    if problem:
        raise RequestError(f"name {asked!r} {problem}; take another, for example my_{name}")
    return PackageNames(name)


def _taken(name: str, catalog: Catalog) -> str | None:
    if keyword.iskeyword(name):
        return "is a word of Python's own"
    if name in catalog.modules:
        return f"is taken by a registered module, of {catalog.modules.entry(name).origin}"
    if is_backbone(name):
        return "is a backbone's"
    if name in sys.stdlib_module_names or name in _FOLDERS or name.startswith("test_"):
        return "is taken by Python, pytest or setuptools"
    if name in _OURS or name in _libraries() or _is_installed(name):
        return "is that of an installed package or of one that attnbench uses"
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
