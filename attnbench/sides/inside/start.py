"""The script of a side's process: ``python -P start.py SETUP.json``."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from pathlib import Path

_NAME = "attnbench_inside"
"""Of this folder as a package: ``attnbench.sides.inside`` would import the wrong attnbench."""


def main(setup: str) -> None:
    """Serve the tasks of one side until standard input ends."""
    folder = Path(__file__).resolve().parent
    spec = importlib.util.spec_from_file_location(
        _NAME, folder / "__init__.py", submodule_search_locations=[str(folder)]
    )
    if spec is None or spec.loader is None:
        raise ImportError(f"{folder} is no package")
    package = importlib.util.module_from_spec(spec)
    sys.modules[_NAME] = package
    spec.loader.exec_module(package)
    importlib.import_module(f"{_NAME}.serve").serve(setup)


if __name__ == "__main__":
    try:
        main(sys.argv[1])
    except (KeyboardInterrupt, BrokenPipeError):  # the parent ends us; nothing to say
        sys.exit(130)
