"""Planning of a suite into cases: expanded rows, validated specs, canonical names."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import chain, product
from typing import TypeVar

from attnbench.errors import MissingExtraError, RequestError
from attnbench.models.backbones import canonical_backbone
from attnbench.registry.attention import Attention, find_attention
from attnbench.registry.module_families import select_modules
from attnbench.registry.placement_grammar import OFFICIAL, parse_placement
from attnbench.registry.plugins import Catalog
from attnbench.registry.specs import parse_spec
from attnbench.suites.accuracy_cases import IsoMacBaselineFinder, add_trainings, expand_controls
from attnbench.suites.case import Case
from attnbench.suites.planned import PlannedRow, PlannedTable
from attnbench.suites.schema import Groups, Row, Size, Suite, TableLayout

T = TypeVar("T")


def plan(
    suite: Suite,
    catalog: Catalog,
    added: Sequence[str] = (),
    brackets: IsoMacBaselineFinder | None = None,
    request: str = "",
) -> list[PlannedTable]:
    """Expand a suite into tables of rows of cases.

    Args:
        suite: the suite.
        catalog: catalog for the lookup of modules.
        added: specs of modules to add as a row at each place of a module in the suite.
        brackets: function that returns the backbones of ``wider`` rows.
        request: kind of the cases that a command's options request, instead of a suite file.

    Raises:
        RequestError: a spec or placement of the suite is wrong; the error names the row.
    """
    planner = _Planner(suite, catalog, brackets, request)
    tables = [planner.table(layout, added) for layout in suite.table]
    _check_nominal(suite, tables)
    _check_added(suite, tables, added)
    return tables


def all_cases(tables: Iterable[PlannedTable]) -> list[Case]:
    """Return the cases of all tables in order, each once."""
    rows = [row for table in tables for row in table.rows]
    trainings = [case for row in rows for case in (*row.against, *chain(*row.accuracy))]
    return list(
        dict.fromkeys(
            [case for row in rows for case in row.cases]
            + [case for row in rows for case in row.latency]
            # ordered by seed: an interrupted sweep leaves complete pairs
            + sorted(trainings, key=lambda case: case.training.seed if case.training else 0)
        )
    )


class _Planner:
    def __init__(
        self,
        suite: Suite,
        catalog: Catalog,
        brackets: IsoMacBaselineFinder | None,
        request: str,
    ) -> None:
        self.suite = suite
        self.head = suite.suite
        self.catalog = catalog
        self.brackets = brackets
        self.request = request

    def table(self, layout: TableLayout, added: Sequence[str]) -> PlannedTable:
        rows = [
            planned
            for number, row in enumerate(layout.row, start=1)
            for planned in self._named_rows(row, layout.groups, number)
        ]
        if layout.groups and not any(_varies(row.cases[0], layout.groups) for row in rows):
            raise RequestError(
                f"suite {self.head.name}: the option of the column groups exists in no module of "
                f"the table: got {layout.groups.option!r}"
            )
        rows += self._added_rows(rows, layout.groups, added)
        whole = (self._timed(row, layout) for row in expand_controls(rows, self.brackets))
        accuracy = self.suite.accuracy_of(layout)
        if accuracy is None:
            return PlannedTable(layout, tuple(whole))
        return PlannedTable(layout, tuple(add_trainings(row, accuracy) for row in whole))

    def _timed(self, row: PlannedRow, layout: TableLayout) -> PlannedRow:
        """Return the row with its latency cases, if the table has latency."""
        latency = self.suite.latency_of(layout)
        if latency is None:
            return row
        if latency.rank is not None and latency.rank not in latency.runtimes:
            raise RequestError(
                f"suite {self.head.name}: rank is not a runtime of the table: got "
                f"{latency.rank!r}. Choose from {', '.join(latency.runtimes)}"
            )
        first = row.cases[0]
        timed = [first.for_latency(conditions) for conditions in latency.conditions()]
        if self.request == "export":  # the same networks in the same runtimes
            timed = [replace(case, kind="export") for case in timed]
        return replace(row, latency=tuple(timed))

    def _named_rows(self, row: Row, groups: Groups | None, number: int) -> list[PlannedRow]:
        try:
            return list(self._rows(row, groups))
        except RequestError as error:
            if self.request:
                raise
            name = f"row {number}" + (f" ({row.label})" if row.label else "")
            raise type(error)(f"suite {self.head.name}, {name}: {error}") from error

    def _rows(self, row: Row, groups: Groups | None) -> Iterator[PlannedRow]:
        modules = [name for selector in _each(row.module) for name in self._selected(selector)]
        backbones, placements = _each(row.backbone), _each(row.placement)
        widths = _each(row.channels)
        for backbone, module, placement, channels, form in product(
            backbones, modules, placements, widths, row.forms
        ):
            attention = _attention(module, self.catalog)
            if attention is not None and _is_left_out(row, attention, placement, form):
                continue
            cases = tuple(
                make_case(
                    self.catalog,
                    backbone=backbone,
                    module=spec,
                    placement=placement,
                    channels=channels,
                    size=row.size or self.head.size,
                    counters=self.head.counters,
                    fused=form == "fused",
                )
                for spec in (self._varied(module, groups) if module else [None])
            )
            yield PlannedRow(_label(row, cases[0], module), row, cases)

    def _selected(self, selector: str | None) -> Sequence[str | None]:
        """Return the modules of a selector, without broken plugins."""
        if selector is None or not selector.startswith("@"):
            return [selector]
        return select_modules(self.catalog.modules, selector, self.catalog.loadable_modules())

    def _varied(self, module: str, groups: Groups | None) -> list[str]:
        """Return the module's spec for each column group, or once if it lacks the option."""
        if groups is None:
            return [module]
        attention = _attention(module, self.catalog)
        spec = parse_spec(module, "module")
        options = attention.signature.options if attention else {}
        if groups.option in spec.options or groups.option not in options:
            return [module]
        return [str(spec.with_options(**{groups.option: value})) for value in groups.values]

    def _added_rows(
        self, rows: list[PlannedRow], groups: Groups | None, added: Sequence[str]
    ) -> Iterator[PlannedRow]:
        """Yield a row for each added module at each place of a module, in the same form."""
        planned = {row.cases for row in rows}
        places: dict[Case, Row] = {}
        for row in rows:
            if row.cases[0].module:
                places.setdefault(_put(row.cases[0], None, None), row.row)
        for module, (place, model) in product(added, places.items()):
            attention = _attention(module, self.catalog)
            if attention is not None and _lacks_place(attention, place):
                continue
            cases = tuple(
                _put(place, spec, _attention(spec, self.catalog))
                for spec in self._varied(module, groups)
            )
            if cases not in planned:
                named = model.label and "{module}" in model.label
                label = _label(model, place, module) if named else _default_label(place, module)
                yield PlannedRow(label, _row(place, module), cases, added=True)


def make_case(
    catalog: Catalog,
    *,
    backbone: str | None,
    module: str | None,
    placement: str | None,
    channels: int | None = None,
    size: Size = 224,
    counters: bool = False,
    fused: bool = False,
) -> Case:
    """Return a cost case with canonical specs and placement.

    Raises:
        RequestError: a spec or the placement is malformed, or the module does not take its options.
    """
    # "is None": an empty text is an error to report, not a plain backbone
    attention = _attention(module, catalog)
    return Case(
        kind="cost",
        backbone=None if backbone is None else str(canonical_backbone(backbone)),
        module=None if module is None else _canonical(module, attention),
        placement=None if placement is None else canonical_placement(placement),
        channels=channels,
        size=size if isinstance(size, tuple) else (size, size),
        counters=counters,
        fused=fused,
        attention=attention,
    )


def canonical_placement(text: str) -> str:
    """Return the canonical text of a placement; raise PlacementError if it is malformed."""
    return OFFICIAL if text.strip() == OFFICIAL else str(parse_placement(text))


def canonical_module(spec: str, catalog: Catalog) -> str:
    """Return the canonical spec of a module, defaults dropped.

    Raises:
        RequestError: there is no such module, or it does not take its options.
    """
    return _canonical(spec, _attention(spec, catalog))


def _attention(module: str | None, catalog: Catalog) -> Attention | None:
    """Return a module, or None if its package is not installed."""
    with suppress(MissingExtraError):
        return find_attention(module, catalog) if module is not None else None
    return None


def _varies(case: Case, groups: Groups) -> bool:
    if case.attention is None:
        return case.module is not None
    return groups.option in case.attention.signature.options


def _is_left_out(row: Row, attention: Attention, placement: str | None, form: str) -> bool:
    """Return whether a module of a selector or list lacks the official placement or form."""
    if row.selects() and _lacks_official_place(attention, placement):
        return True
    if form == "plain" or _has_fused_form(attention):
        return False
    if not row.is_many():
        raise RequestError(
            f"module has no fused form: got {str(attention.spec)!r}. Write fuse(), or omit the form"
        )
    return True


def _lacks_official_place(attention: Attention, placement: str | None) -> bool:
    card = attention.card
    return placement == OFFICIAL and not (card and card.official)


def _lacks_place(attention: Attention, place: Case) -> bool:
    """Return whether an added module lacks the official placement or fused form of a place."""
    lacks_form = place.fused and not _has_fused_form(attention)
    return lacks_form or _lacks_official_place(attention, place.placement)


def _has_fused_form(attention: Attention) -> bool:
    """Return whether the module's class has a ``fuse()`` method; always false for a function."""
    return callable(getattr(attention.factory, "fuse", None))


def _canonical(module: str, attention: Attention | None) -> str:
    # a skipped module still has a name
    return str(attention.spec if attention else parse_spec(module, "module"))


def _put(place: Case, module: str | None, attention: Attention | None) -> Case:
    """Return the case of a module at the place of another."""
    canonical = None if module is None else _canonical(module, attention)
    return replace(place, module=canonical, attention=attention)


def _label(row: Row, case: Case, module: str | None) -> str:
    if row.label is None:
        return _default_label(case, module)
    height, width = case.size
    text = (
        row.label.replace("{backbone}", case.backbone or "")
        .replace("{module}", module or "")
        .replace("{placement}", case.placement or "")
        .replace("{size}", f"{height}x{width}")
    )
    return f"{text}, fused" if case.fused else text


def _default_label(case: Case, module: str | None) -> str:
    form = ", fused" if case.fused else ""
    parts = [case.backbone, f"{module}{form}" if module else "plain" if case.backbone else None]
    return " + ".join(part for part in parts if part)


def _row(place: Case, module: str) -> Row:
    """Return the row of the suite file for a module at a place."""
    return Row(
        backbone=place.backbone,
        module=module,
        placement=place.placement,
        channels=place.channels,
        size=place.size,
    )


def _check_added(suite: Suite, tables: Iterable[PlannedTable], added: Sequence[str]) -> None:
    """Raise :class:`RequestError` for an added module without any row in the suite."""
    specs = [parse_spec(case.module, "module") for case in all_cases(tables) if case.module]
    there = {spec.name for spec in specs}
    for module in added:
        if there and parse_spec(module, "module").name not in there:
            raise RequestError(
                f"suite {suite.suite.name} has no place for {module}: its modules are at their "
                "official places or in fused form. Declare `official` on the card, or write fuse()"
            )


def _check_nominal(suite: Suite, tables: Iterable[PlannedTable]) -> None:
    """Raise :class:`RequestError` for nominal figures without a row of that canonical backbone."""
    backbones = sorted({case.backbone for case in all_cases(tables) if case.backbone})
    for name in suite.nominal:
        if name not in backbones:
            raise RequestError(
                f"suite {suite.suite.name}: nominal has a backbone of no row: got {name!r}. "
                f"The rows have {', '.join(backbones) or 'none'}"
            )


def _each(value: T | list[T] | None) -> Sequence[T | None]:
    return value if isinstance(value, list) else [value]
