"""Cost cases, counted additively: the backbone traced once, each module traced alone once.

A site is called once with a known shape, so the cost of a placed network is that of the backbone,
less the replaced blocks, plus each module at its own shape. The tests compare this sum with a
trace of the whole placed network on every shipped row.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict
from functools import partial
from typing import Any

from torch import nn

from attnbench.counting.cost import Cost, cost, uncounted_json
from attnbench.counting.trace import trace
from attnbench.errors import CountingError, PluginError
from attnbench.measure.cost_parts import CostPart, Inventory
from attnbench.models.backbones import create_backbone
from attnbench.models.fuse import fuse
from attnbench.models.insertion import fill
from attnbench.models.placement_slots import Slot, check_slots, find_placement, find_slots
from attnbench.models.sites import SiteSurvey
from attnbench.registry.attention import Attention
from attnbench.registry.backbone_names import is_own_backbone
from attnbench.registry.first_run import first_run, without_weights
from attnbench.registry.plugins import Catalog
from attnbench.registry.specs import parse_spec
from attnbench.suites.case import Case
from attnbench.utils.forked_trial import FIRST_PASS, run_after_trial

METHOD = 1
"""Version of the counting method; a higher one invalidates older cost records."""


class BackboneCost:
    """A backbone for shapes alone, with its traced structure and its cost without modules."""

    def __init__(self, model: nn.Module, size: tuple[int, int]) -> None:
        self.model = model
        self.survey = SiteSurvey(model, (1, 3, *size), owned=_has_no_weights(model))
        self.inventory = Inventory(model)
        self.plain = self.without(())

    def without(self, paths: Collection[str]) -> CostPart:
        """Return the cost of the backbone less the modules at ``paths``."""
        return self.inventory.part(self.survey.trace, paths)

    def check_output(self, backbone: str) -> None:
        """Raise :class:`PluginError` unless the backbone returns one tensor."""
        if self.survey.trace.calls[0].output is None:
            raise PluginError(
                f"backbone {backbone} must return one tensor of scores, (B, classes): got a dict, "
                "a tuple or another object. Return the scores alone, from a function that wraps it"
            )


class CostMeter:
    """A meter that counts cost cases; repeated backbones and modules are counted once."""

    def __init__(self, catalog: Catalog) -> None:
        self.catalog = catalog
        self._known: dict[tuple[str, tuple[int, int]], BackboneCost] = {}
        self._alone: dict[tuple[str, int, tuple[int, int], bool], CostPart] = {}

    def measure(self, case: Case) -> dict[str, Any]:
        """Return the entries of a case's record.

        They are ``values``, ``uncounted``, ``slots``, ``card`` and ``counters``.

        Raises:
            RequestError: the specs, the placement or the channels of the case are invalid.
            CountingError: the network cannot be traced.
        """
        attention = case.resolve(self.catalog).attention
        if case.backbone is None:
            return self._measure_alone(case, attention)
        slots = self.slots(case)
        total, values = self._placed(case, slots, attention)
        counters = self._counters(case, slots, attention, values) if case.counters else None
        return {
            "values": values,
            "uncounted": uncounted_json(total.uncounted),
            "counters": counters,
            **module_facts(case, slots, self.catalog),
        }

    def places(self, case: Case) -> set[tuple[int, tuple[int, int]]]:
        """Return channels and map sizes of a case's modules."""
        if case.backbone is None:
            return {(case.channels, case.size)} if case.channels else set()
        return {(slot.channels, slot.size) for slot in self.slots(case)}

    def check(self, case: Case) -> None:
        """Raise the error of :meth:`measure` for an invalid case, without building a module."""
        attention = case.resolve(self.catalog).attention
        if case.backbone is not None:
            self.backbone_cost(case.backbone, case.size)
            self.slots(case)
        elif attention is not None and case.channels is not None:
            attention.check(case.channels, case.size)

    def backbone_cost(self, backbone: str, size: tuple[int, int]) -> BackboneCost:
        """Return a traced backbone; it is built and traced at the first call."""
        key = (backbone, size)
        if key not in self._known:
            trace = partial(self._trace, backbone, size)
            is_own = is_own_backbone(parse_spec(backbone, "backbone").name)
            found = run_after_trial(trace, backbone, FIRST_PASS) if is_own else trace()
            found.check_output(backbone)
            self._known[key] = found
        return self._known[key]

    def _trace(self, backbone: str, size: tuple[int, int]) -> BackboneCost:
        try:
            return BackboneCost(self.build_backbone(backbone, size), size)
        except CountingError:  # its forward pass depends on values
            return BackboneCost(create_backbone(backbone), size)

    def build_backbone(self, spec: str, size: tuple[int, int]) -> nn.Module:
        """Return a backbone for shapes alone."""
        return without_weights(lambda: create_backbone(spec))

    def slots(self, case: Case, survey: SiteSurvey | None = None) -> list[Slot]:
        """Return the module's slots, checked against its constraints; none for a plain case.

        Args:
            case: a case in a backbone.
            survey: sites of the network, unless it is the backbone as it is built.
        """
        attention = case.resolve(self.catalog).attention
        if case.backbone is None or attention is None or case.placement is None:
            return []
        survey = survey or self.backbone_cost(case.backbone, case.size).survey
        slots = find_slots(find_placement(case.placement, attention, survey), survey)
        check_slots(attention, slots)
        return slots

    def part(
        self, attention: Attention, channels: int, size: tuple[int, int], fused: bool = False
    ) -> CostPart:
        """Return the cost of a module, or of its fused form, on a (channels, h, w) feature map.

        Raises:
            PluginError: the module fails on that feature map or does not keep its shape.
        """
        key = (str(attention.spec), channels, size, fused)
        if key not in self._alone:
            self._alone[key] = _part(attention, channels, size, fused)
        return self._alone[key]

    def _placed(
        self, case: Case, slots: Sequence[Slot], attention: Attention | None
    ) -> tuple[CostPart, dict[str, int | None]]:
        """Return the cost of a network with its modules, and the values of its record."""
        known = self.backbone_cost(str(case.backbone), case.size)
        plain = known.plain
        removed = [slot.path for slot in slots if slot.replaced]
        remaining = known.without(removed) if removed else plain
        total = remaining
        if attention:
            for slot in slots:
                total += self.part(attention, slot.channels, slot.size, case.fused)
        delta = total - plain
        return total, {
            **total.values(),
            "delta_params": delta.params,
            "delta_macs": delta.macs,
            "delta_activations": delta.activations,
            "delta_bytes": delta.bytes,
            **_paper_delta(attention, slots, plain - remaining),
        }

    def _measure_alone(self, case: Case, attention: Attention | None) -> dict[str, Any]:
        if attention is None or case.channels is None:
            raise CountingError(f"{case.name}: a module alone needs a module and its channels")
        part = self.part(attention, case.channels, case.size, case.fused)
        values = {**part.values(), **_formulas(attention, case.channels, case.size)}
        counters = None
        if case.counters:
            built = attention.build(case.channels, case.size)
            counted = cost(fuse(built) if case.fused else built, (1, case.channels, *case.size))
            counters = _reports(counted)
        return {
            "values": values,
            "uncounted": uncounted_json(part.uncounted),
            "counters": counters,
            **module_facts(case, (), self.catalog),
        }

    def _counters(
        self,
        case: Case,
        slots: Sequence[Slot],
        attention: Attention | None,
        values: dict[str, int | None],
    ) -> dict[str, Any]:
        model = create_backbone(str(case.backbone))
        placed = fill(model, slots, attention) if attention else model
        counted = cost(fuse(placed) if case.fused else placed, (1, 3, *case.size))
        if (counted.params, counted.macs) != (values["params"], values["macs"]):
            raise CountingError(
                f"{case.name}: the sum of the parts differs from the whole network: got "
                f"{values['params']} parameters and {values['macs']} MACs instead of "
                f"{counted.params} and {counted.macs}"
            )
        return _reports(counted)


def _has_no_weights(model: nn.Module) -> bool:
    tensors = [*model.parameters(), *model.buffers()]
    return bool(tensors) and all(tensor.is_meta for tensor in tensors)


def _part(
    attention: Attention, channels: int, size: tuple[int, int], fused: bool = False
) -> CostPart:
    if fused:  # with weights: the fused form may depend on their signs
        run = first_run(fuse(attention.build(channels, size)), channels, size)
    else:
        run = attention.first_run(channels, size)
    if run.problem or run.shapes is None or run.trace is None:
        raise PluginError(f"{attention.spec} {run.problem}")
    is_one_image = run.shape[0] == 1
    traced = run.trace if is_one_image else trace(run.shapes, (1, channels, *size))
    return Inventory(run.shapes).part(traced)


def _formulas(attention: Attention, channels: int, size: tuple[int, int]) -> dict[str, int | None]:
    card = attention.card
    printed = card.printed if card else None
    options = attention.options_at(channels)
    return {
        "formula_params": attention.params(channels, size),
        "formula_macs": card.macs(channels, *size, **options) if card and card.macs else None,
        "paper_params": printed.params(channels, **options) if printed else None,
        "paper_macs": printed.macs(channels, *size, **options) if printed else None,
    }


def _paper_delta(
    attention: Attention | None, slots: Sequence[Slot], removed: CostPart
) -> dict[str, int | None]:
    """Return the change in the convention of papers: printed formulas less removed weights."""
    printed = attention.card.printed if attention and attention.card else None
    if attention is None or printed is None:
        return {"paper_delta_params": None, "paper_delta_macs": None}
    at = attention.options_at
    params = sum(printed.params(slot.channels, **at(slot.channels)) for slot in slots)
    macs = sum(printed.macs(slot.channels, *slot.size, **at(slot.channels)) for slot in slots)
    return {
        "paper_delta_params": params - removed.params_no_norm,
        "paper_delta_macs": macs - removed.macs,
    }


def module_facts(case: Case, slots: Iterable[Slot], catalog: Catalog) -> dict[str, Any]:
    """Return the entries of a record about the module: ``slots``, ``card``."""
    return {
        "slots": [{**asdict(slot), "size": list(slot.size)} for slot in slots],
        "card": card_facts(case.resolve(catalog).attention),
    }


def _reports(counted: Cost) -> dict[str, Any]:
    reports: dict[str, Any] = counted.to_dict(counters=True)["counters"]
    return reports


def card_facts(attention: Attention | None) -> dict[str, Any] | None:
    """Return the part of a card that tables show."""
    card = attention.card if attention else None
    if card is None:
        return None
    printed = card.printed
    return {
        "title": card.title,
        "family": card.family,
        "short": card.paper.short if card.paper else None,
        "key": card.paper.key if card.paper else None,
        "bibtex": card.paper.bibtex() if card.paper else None,
        "traits": asdict(card.traits) if card.traits else None,
        "version": card.version,
        "printed": printed
        and {
            "source": printed.source,
            "params_text": printed.params_text,
            "macs_text": printed.macs_text,
            "params_tex": printed.params_tex,
            "macs_tex": printed.macs_tex,
            "differences": list(printed.differences),
        },
    }
