"""Suites of one table, in memory: the networks that the options of a command request."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from attnbench.models.backbones import canonical_backbone
from attnbench.registry.plugins import Catalog
from attnbench.suites.case import DEFAULT_SIZE
from attnbench.suites.load import parse_suite
from attnbench.suites.plan import canonical_module, canonical_placement
from attnbench.suites.schema import Row, Suite

MOST_RACED_SEEDS = 40
"""Default of the most seeds of an arm in a race."""


@dataclass(frozen=True)
class GridRequest:
    """Backbones, modules and placements, of which each combination is measured."""

    backbones: Sequence[str] = ()
    """Specs; empty for modules alone."""
    modules: Sequence[str] = ()
    """Specs; empty for plain backbones."""
    placements: Sequence[str] = ()
    size: tuple[int, int] = DEFAULT_SIZE
    """Size of the image; for a module alone, size of the feature map."""
    channels: int | None = None
    """Number of channels of a module alone."""
    counters: bool = False
    forms: Sequence[str] = ("plain",)
    """Forms of the modules: ``plain``, ``fused``."""
    wider: bool = False
    """Additional plain backbones of the modules' multiply-adds."""


def request_suite(
    kind: str, request: GridRequest, catalog: Catalog, settings: Mapping[str, Any] | None = None
) -> Suite:
    """Return the suite of a request; its table has the plain network above its modules.

    Args:
        kind: kind of the cases, which is also the name of the suite: ``cost``, ``latency``,
            ``accuracy`` or ``export``.
        request: the networks.
        catalog: catalog for the lookup of modules.
        settings: content of the section ``[accuracy]``, or ``[latency]`` (for exports, too).

    Raises:
        RequestError: a spec, placement or setting is wrong.
    """
    head: dict[str, Any] = {"name": kind, "title": kind.capitalize(), "counters": request.counters}
    if request.size != DEFAULT_SIZE:
        head["size"] = request.size
    layout: dict[str, Any] = {"columns": ["label", "placement"]}
    layout["row"] = list(_rows(kind, request, catalog))
    content: dict[str, Any] = {"suite": head, "table": [layout]}
    if settings is not None:
        section = "accuracy" if kind == "accuracy" else "latency"
        content[section], layout[section] = dict(settings), {}
    suite = parse_suite(content, "of these options")
    if kind == "latency" and not request.backbones:
        return _with_one_pass(suite, request.channels)
    return suite


def accuracy_section(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the content of the suite's section ``[accuracy]``; settings of None are left out."""
    columns = ["top1", "top5", "difference"]
    columns += ["int8", "int8_difference"] if settings["int8"] else []
    given = {key: value for key, value in settings.items() if value is not None}
    return {**given, "columns": [*columns, "mcnemar", "seconds"]}


def race_settings(seeds: int | None, until: str | None, margin: float | None) -> dict[str, Any]:
    """Return the settings of seeds, with the defaults of a race or of a fixed number."""
    default = MOST_RACED_SEEDS if until else 3
    number = default if seeds is None else seeds
    return {"seeds": number, "until": until, "margin": margin}


def _with_one_pass(suite: Suite, channels: int | None) -> Suite:
    """Return the suite with the baseline of modules alone as a row: one pass over the map."""
    (layout,) = suite.table
    baseline = Row.model_construct(channels=channels)  # no row of a file is without a module
    rows = {"row": [baseline, *layout.row]}
    return suite.model_copy(update={"table": [layout.model_copy(update=rows)]})


def _rows(kind: str, request: GridRequest, catalog: Catalog) -> Iterator[dict[str, Any]]:
    modules = dict.fromkeys(canonical_module(spec, catalog) for spec in request.modules)
    placements = dict.fromkeys(map(canonical_placement, request.placements))
    if not request.backbones:
        for module in modules:
            yield {"module": module, "channels": request.channels, "forms": [*request.forms]}
    for backbone in dict.fromkeys(str(canonical_backbone(spec)) for spec in request.backbones):
        if kind != "export" or not modules:
            yield {"backbone": backbone}
        for module, placement in product(modules, placements):
            row = {"backbone": backbone, "module": module, "placement": placement}
            yield row | ({} if request.forms == ("plain",) else {"forms": [*request.forms]})
        if request.wider:
            yield {"backbone": backbone, "control": "wider"}
