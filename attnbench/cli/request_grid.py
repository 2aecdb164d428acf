"""Arms of ``-b``, ``-m`` and ``-p``: the validated Cartesian product of the options."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from attnbench.cli.options import parse_size
from attnbench.errors import RequestError

if TYPE_CHECKING:
    from attnbench.registry.plugins import Catalog
    from attnbench.suites.case import Case

Backbones = Annotated[
    list[str] | None, typer.Option("-b", "--backbone", help="name,key=value; repeats.")
]
Modules = Annotated[
    list[str] | None,
    typer.Option("-m", "--module", help="name,key=value or FILE.py:Class; repeats."),
]
Placements = Annotated[
    list[str] | None,
    typer.Option("-p", "--placement", help="replace:14,17, after:8-12, official ...; repeats."),
]
Size = Annotated[
    str | None, typer.Option("--size", help="N or HxW: the image, or the map of a module alone.")
]
Channels = Annotated[int | None, typer.Option("--channels", min=1, help="Of a module alone.")]
Fused = Annotated[
    bool, typer.Option("--fused", help="Also the inference form of modules that have one.")
]


@dataclass(frozen=True)
class GridRequest:
    """Values of the options."""

    backbones: Sequence[str]
    modules: Sequence[str]
    placements: Sequence[str]
    size: str | None
    channels: int | None
    counters: bool = False
    fused: bool = False


def cases_of(request: GridRequest, catalog: Catalog) -> list[Case]:
    """Return the cost cases of a request, each once.

    Raises:
        RequestError: the options contradict each other, or a spec is wrong.
    """
    from attnbench.suites.plan import has_fused_form, make_case

    _refuse_nonsense(request)
    shape = parse_size(request.size or "224")
    made: list[Case] = []
    for backbone, module, placement in _crossed(request):
        case = make_case(
            catalog,
            backbone=backbone,
            module=module,
            placement=placement,
            channels=request.channels,
            size=shape,
            counters=request.counters,
        )
        made.append(case)
        if request.fused and module is not None and has_fused_form(module, catalog):
            made.append(case.fuse())
    return list(dict.fromkeys(made))


def _crossed(request: GridRequest) -> Iterator[tuple[str | None, str | None, str | None]]:
    nothing: tuple[None] = (None,)
    for backbone in request.backbones or nothing:
        for module in request.modules or nothing:
            for placement in request.placements or nothing:
                yield backbone, module, placement


def _refuse_nonsense(request: GridRequest) -> None:
    if not request.backbones and not request.modules:
        raise RequestError("nothing to measure; give a backbone (-b), a module (-m) or both")
    if not request.backbones and (request.channels is None or request.size is None):
        raise RequestError(
            "a module alone needs --channels and --size; or put it into a backbone with -b and -p"
        )
    if request.backbones and request.channels is not None:
        raise RequestError("--channels is for a module alone; the backbone's sites have their own")
    if request.placements and not request.backbones:
        raise RequestError("a placement (-p) needs a backbone (-b)")
    if request.placements and not request.modules:
        raise RequestError("a placement (-p) needs a module (-m); leave both out for the plain one")
    if request.backbones and request.modules and not request.placements:
        raise RequestError(
            "a module in a backbone needs a placement: -p after:11, -p replace:14,17, -p official; "
            f"attnbench show backbone {request.backbones[0]} lists the layers"
        )
