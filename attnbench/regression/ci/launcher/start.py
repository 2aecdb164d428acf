"""Launch script of one side's process: ``python -P start.py SETUP.json``.

Head's copy of this file runs on both sides. It prepares the process (private standard output,
working directory, import redirection), imports the bridge of the attnbench that this side has, and
hands over to it. Nothing of attnbench is imported before, and nothing but the bridge by name.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import json
import os
import sys
import threading
import time
import warnings
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, TextIO

BRIDGE = "attnbench.regression.ci.bridge"
"""Module path of the bridge in every attnbench: part of the protocol, fixed forever."""


def main(setup_file: str) -> None:
    """Prepare the process and serve tasks until standard input ends.

    Args:
        setup_file: JSON, described in the bridge; of the launcher alone are ``folder`` (working
            directory), ``first`` and ``after`` (for ``sys.path``).
    """
    answers = _private_stdout()
    threading.Thread(target=_die_with_parent, args=(os.getppid(),), daemon=True).start()
    warnings.simplefilter("ignore")  # of the measured code; failures are reported as errors
    setup = json.loads(Path(setup_file).read_text(encoding="utf-8"))
    os.chdir(setup["folder"])
    redirect = _load_redirect(setup["launcher"])
    trees = redirect.SourceTrees.of_setup(setup)
    redirect.redirect_imports(trees, setup["first"], setup["after"])
    _send(answers, {"ready": os.getpid()})
    try:
        serve = importlib.import_module(BRIDGE).serve
    except (Exception, SystemExit) as error:
        _refuse_all(answers, _import_failure(error, trees))
        return
    serve(setup_file, answers)


def _load_redirect(name: str) -> Any:
    """Load this folder as a package: its real name may import the wrong attnbench."""
    folder = Path(__file__).resolve().parent
    spec = importlib.util.spec_from_file_location(
        name, folder / "__init__.py", submodule_search_locations=[str(folder)]
    )
    if spec is None or spec.loader is None:
        raise ImportError(f"{folder} is not a package")
    package = importlib.util.module_from_spec(spec)
    sys.modules[name] = package
    spec.loader.exec_module(package)
    return importlib.import_module(f"{name}.import_redirect")


def _import_failure(error: BaseException, trees: Any) -> dict[str, Any]:
    """Return the answer to every task if the bridge cannot be imported."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    text = f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
    return {
        "error": text,
        "kind": "no-bridge" if _is_absent(error) else "failed",
        "facts": _attnbench_facts(trees),
    }


def _is_absent(error: BaseException) -> bool:
    """Return whether the module of the bridge does not exist, or has no ``serve``."""
    if isinstance(error, ModuleNotFoundError):
        return error.name is not None and f"{BRIDGE}.".startswith(f"{error.name}.")
    return isinstance(error, AttributeError) and getattr(error, "name", None) == "serve"


def _attnbench_facts(trees: Any) -> dict[str, str]:
    """Return file, kind of place and version of this side's attnbench, as keys of ``facts``."""
    top = BRIDGE.partition(".")[0]
    facts = {"attnbench": "", "version": ""}
    with contextlib.suppress(PackageNotFoundError):
        facts["version"] = version(top)
    with contextlib.suppress(ImportError, ValueError):
        spec = importlib.util.find_spec(top)
        if spec is not None and spec.origin and spec.has_location:
            facts |= {"attnbench": spec.origin, "kind": trees.kind(spec.origin)}
    return facts


def _refuse_all(answers: TextIO, answer: Mapping[str, Any]) -> None:
    for _ in sys.stdin:
        _send(answers, answer)


def _private_stdout() -> TextIO:
    """Reserve standard output for answers; output of plugins goes to standard error."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return answers


def _die_with_parent(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)


def _send(answers: TextIO, answer: Mapping[str, Any]) -> None:
    answers.write(json.dumps(answer) + "\n")
    answers.flush()


if __name__ == "__main__":
    try:
        main(sys.argv[1])
    except (KeyboardInterrupt, BrokenPipeError):  # ended by the parent
        sys.exit(130)
