"""From a suite to its cases: rows expanded, specs checked, names made canonical."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product

from attnbench.attention import find_attention
from attnbench.backbones.build import canonical_backbone
from attnbench.errors import RequestError
from attnbench.placement.grammar import OFFICIAL, parse_placement
from attnbench.plugins import Catalog
from attnbench.specs import Spec, parse_spec
from attnbench.suites.schema import Groups, Row, Size, Suite, TableLayout

DEFAULT_SIZE = (224, 224)


@dataclass(frozen=True)
class Case:
    """One thing to measure; specs and placement are canonical text."""

    kind: str
    backbone: str | None
    module: str | None
    placement: str | None
    channels: int | None
    size: tuple[int, int]
    """Of the input image; of the feature map for a module alone."""
    counters: bool = False

    @property
    def name(self) -> str:
        """The canonical name, ``cost/mobilenet_v2/ulsam,groups=8/replace:14,17``."""
        parts = [self.kind, self.backbone or "alone", self.module or "plain"]
        height, width = self.size
        if self.channels is not None:
            parts.append(f"{self.channels}x{height}x{width}")
        else:
            parts += [self.placement] if self.placement else []
            parts += [f"{height}x{width}"] if self.size != DEFAULT_SIZE else []
        return "/".join(parts)

    @property
    def plain(self) -> Case:
        """The same backbone without the module."""
        return replace(self, module=None, placement=None)


@dataclass(frozen=True)
class PlannedRow:
    """A row of a table with its cases: one, or one per column group."""

    label: str
    row: Row
    cases: tuple[Case, ...]
    added: bool = False
    """Asked for on the command line, not in the suite's file."""


@dataclass(frozen=True)
class PlannedTable:
    """A table with its rows."""

    layout: TableLayout
    rows: tuple[PlannedRow, ...]


def plan(suite: Suite, catalog: Catalog, added: Sequence[str] = ()) -> list[PlannedTable]:
    """Expand a suite into tables of rows of cases.

    Args:
        suite: the suite.
        catalog: where modules are looked up.
        added: module specs that get a row wherever the suite puts a module.

    Raises:
        RequestError: a spec or placement of the suite is wrong; the row is named.
    """
    planner = _Planner(suite, catalog)
    return [planner.table(layout, added) for layout in suite.table]


def all_cases(tables: Iterable[PlannedTable]) -> list[Case]:
    """Return the cases of all tables in order, each once."""
    return list(dict.fromkeys(case for table in tables for row in table.rows for case in row.cases))


class _Planner:
    def __init__(self, suite: Suite, catalog: Catalog) -> None:
        self.head = suite.suite
        self.catalog = catalog

    def table(self, layout: TableLayout, added: Sequence[str]) -> PlannedTable:
        rows = [
            planned
            for number, row in enumerate(layout.row, start=1)
            for planned in self._rows(row, layout.groups, number)
        ]
        return PlannedTable(layout, (*rows, *self._added_rows(rows, added, layout.groups)))

    def _rows(self, row: Row, groups: Groups | None, number: int) -> Iterator[PlannedRow]:
        try:
            for backbone, module, placement, channels in self._product(row):
                cases = tuple(
                    self._case(row, backbone, spec, placement, channels)
                    for spec in self._varied(module, groups)
                )
                yield PlannedRow(_label(row, cases[0], module), row, cases)
        except RequestError as error:
            name = f"row {number}" + (f" ({row.label})" if row.label else "")
            raise type(error)(f"suite {self.head.name}, {name}: {error}") from error

    def _product(
        self, row: Row
    ) -> Iterator[tuple[str | None, str | None, str | None, int | None]]:
        modules: list[str | None] = [
            name for selector in _many(row.module) for name in self._selected(selector)
        ]
        yield from product(
            _many(row.backbone) or [None],
            modules or [None],
            _many(row.placement) or [None],
            _many(row.channels) or [None],
        )

    def _selected(self, selector: str) -> list[str]:
        if not selector.startswith("@"):
            return [selector]
        names = self.catalog.modules.names()
        if selector == "@all":
            return names
        if selector.startswith("@family:"):
            family = selector.removeprefix("@family:")
            found = [one for one in names if self.catalog.modules.entry(one).family == family]
            if found:
                return found
            raise RequestError(f"module {selector!r}: no module is of family {family!r}")
        raise RequestError(f"module {selector!r}: write @all, @family:NAME or a module")

    def _varied(self, module: str | None, groups: Groups | None) -> list[str | None]:
        """A module once per column group, where it has the option that varies."""
        if module is None or groups is None:
            return [module]
        spec = parse_spec(module, "module")
        takes = find_attention(spec, self.catalog).signature.options
        if groups.option in spec.options or groups.option not in takes:
            return [module]
        return [
            str(Spec(spec.name, {**spec.options, groups.option: value})) for value in groups.values
        ]

    def _case(
        self,
        row: Row,
        backbone: str | None,
        module: str | None,
        placement: str | None,
        channels: int | None,
    ) -> Case:
        return make_case(
            self.catalog,
            backbone=backbone,
            module=module,
            placement=placement,
            channels=channels,
            size=row.size or self.head.size,
            counters=self.head.counters,
        )

    def _added_rows(
        self, rows: list[PlannedRow], added: Sequence[str], groups: Groups | None
    ) -> Iterator[PlannedRow]:
        """A row for each added module wherever the table puts a module."""
        places = dict.fromkeys(
            replace(row.cases[0], module=None) for row in rows if row.cases[0].module
        )
        for spec, place in product(added, places):
            cases = tuple(
                replace(place, module=str(find_attention(varied, self.catalog).spec))
                for varied in self._varied(spec, groups)
                if varied
            )
            yield PlannedRow(
                _default_label(place, spec), Row(module=spec, channels=1), cases, added=True
            )


def make_case(
    catalog: Catalog,
    *,
    backbone: str | None,
    module: str | None,
    placement: str | None,
    channels: int | None = None,
    size: Size = 224,
    counters: bool = False,
) -> Case:
    """Return a cost case with canonical specs and placement.

    Raises:
        RequestError: a spec or the placement is malformed, or the module does not take its options.
    """
    attention = find_attention(module, catalog) if module else None
    where = placement
    if placement and placement.strip() != OFFICIAL:
        where = str(parse_placement(placement))
    return Case(
        kind="cost",
        backbone=str(canonical_backbone(backbone)) if backbone else None,
        module=str(attention.spec) if attention else None,
        placement=where,
        channels=channels,
        size=size if isinstance(size, tuple) else (size, size),
        counters=counters,
    )


def _label(row: Row, case: Case, module: str | None) -> str:
    if row.label is None:
        return _default_label(case, module)
    height, width = case.size
    return (
        row.label.replace("{backbone}", case.backbone or "")
        .replace("{module}", module or "")
        .replace("{placement}", case.placement or "")
        .replace("{size}", f"{height}x{width}")
    )


def _default_label(case: Case, module: str | None) -> str:
    parts = [case.backbone, module or ("plain" if case.backbone else None)]
    return " + ".join(part for part in parts if part)


def _many(value: object) -> list[object]:  # type: ignore[misc]
    if value is None:
        return []
    return list(value) if isinstance(value, list) else [value]
