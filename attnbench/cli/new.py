"""``attnbench new``: template of a plugin package."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from attnbench.cli.output import load_catalog, log, write

EXAMPLES = (
    "attnbench new my_attention",
    "attnbench new my_attention -o plugins/my_attention",
)


def command(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Of the module: my_attention.")],
    output: Annotated[
        Path | None,
        typer.Option(
            "-o", "--output", metavar="DIR", help="The folder to fill; ./NAME by default."
        ),
    ] = None,
) -> None:
    """Write a plugin package with a module of yours.

    A module with its card and formulas, tests, README, CI. It works as it is
    written: then replace the module with yours.
    """
    from attnbench.scaffold.plugin_package import check_name, write_package

    names = check_name(name, load_catalog(None))
    if names.module != name:
        log(f"attnbench: the module is {names.module}, the distribution {names.distribution}")
    folder = output or Path(names.module)
    files = write_package(names, folder)
    write("".join(f"{path}\n" for path in files))
    log(_next(names.module, folder))


def _next(name: str, folder: Path) -> str:
    source = Path("src") / name / "module.py"
    return (
        f"\nNext:\n  cd {folder}\n  attnbench check {name}      # passes as it is\n"
        f"  pytest\n  attnbench cost -m {name} -m se --channels 512 --size 14\n"
        f"then put your module into {source}; README.md has the other commands.\n"
        "A licence is yours to choose: there is no LICENSE file."
    )
