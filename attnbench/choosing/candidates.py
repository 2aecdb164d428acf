"""Candidates: each module at each placement, with exact costs by addition."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import groupby

from attnbench.choosing.request import ChooseRequest, Limit
from attnbench.errors import AttnbenchError, MissingExtraError, PlacementError, RequestError
from attnbench.measure.cost import BackboneCost, CostMeter
from attnbench.measure.cost_parts import CostPart
from attnbench.models.placement_slots import Slot, check_slots, find_placement, find_slots
from attnbench.models.sites import Site, SiteSurvey
from attnbench.registry.attention import Attention, find_attention
from attnbench.registry.module_families import select_modules
from attnbench.registry.placement_grammar import OFFICIAL
from attnbench.registry.plugins import Catalog
from attnbench.suites.plan import canonical_placement

KINDS = ("single", "last", "stages", "all", "official", "replace-se")
"""Kinds of placements: each single block, the last k blocks, each stage, all blocks, the official
places of a module, and in place of built-in squeeze-and-excitation."""
_CONTROL = "control"
_EVERY_SE = "replace-se:all"


@dataclass(frozen=True)
class Candidate:
    """A module at a placement, with what it adds to the plain network."""

    module: str
    placement: str
    slots: tuple[Slot, ...]
    delta: CostPart = field(compare=False)
    family: str = field(compare=False)

    @property
    def sites(self) -> int:
        """Number of modules."""
        return len(self.slots)


@dataclass(frozen=True)
class Candidates:
    """All candidates of a request, and the reason of each module that is none."""

    all: list[Candidate]
    refused: dict[str, str]

    def within(self, limits: Mapping[str, Limit], plain: CostPart) -> list[Candidate]:
        """Return those within the exact limits on parameters and MACs."""
        most = {
            name: limits[name].most_added(getattr(plain, name))
            for name in ("params", "macs")
            if name in limits
        }
        return [
            candidate
            for candidate in self.all
            if all(getattr(candidate.delta, name) <= limit for name, limit in most.items())
        ]


def find_blocks(survey: SiteSurvey) -> list[Site]:
    """Return the blocks of a network in order, without the stem and the head.

    They are a MobileNet's numbered blocks; in any other network the outermost modules of classes
    that occur more than once and have several layers within.
    """
    if survey.layers:
        return [site for site in survey.sites() if site.inside.depthwise]
    paths = survey.paths()
    inner = Counter(path[:end] for path in paths for end in _ends(path))
    sites = [site for path in paths if inner[path] > 2 and (site := survey.site(path)).placeable]
    kinds = Counter(site.kind for site in sites)
    blocks: list[Site] = []
    for site in sites:
        is_inside = blocks and site.path.startswith(f"{blocks[-1].path}.")
        if kinds[site.kind] > 1 and site.kind != "Sequential" and not is_inside:
            blocks.append(site)
    return blocks


def _ends(path: str) -> Iterator[int]:
    """Yield the ends of the paths of all modules around a module."""
    return (end for end, character in enumerate(path) if character == ".")


def find_modules(specs: Iterable[str], catalog: Catalog) -> dict[str, Attention]:
    """Return the modules of names and selectors by canonical spec; a selector leaves out controls.

    Raises:
        RequestError: there is no such module, or it does not take its options.
    """
    found: dict[str, Attention] = {}
    for spec in specs:
        if not spec.startswith("@"):
            attention = find_attention(spec, catalog)
            found[str(attention.spec)] = attention
            continue
        for name in select_modules(catalog.modules, spec, catalog.loadable_modules()):
            try:
                attention = find_attention(name, catalog)
            except MissingExtraError:
                continue
            if family_of(attention) != _CONTROL:
                found[str(attention.spec)] = attention
    return found


def family_of(attention: Attention) -> str:
    """Return the family on the module's card; its own name without one."""
    return (attention.card.family if attention.card else "") or attention.name


def find_candidates(
    request: ChooseRequest, modules: Mapping[str, Attention], meter: CostMeter
) -> Candidates:
    """Return each module at each placement that it can take, with exact costs.

    A module that cannot be counted is refused as a whole; a placement that a module cannot take is
    left out. Equal slots under another name are the same candidate.

    Raises:
        RequestError: a placement is wrong, or the network has no blocks.
    """
    known = meter.backbone_cost(request.backbone, request.size)
    placements = find_placements(request.places, known.survey)
    slots_of = cache(
        lambda text: tuple(find_slots(find_placement(text, None, known.survey), known.survey))
    )
    found: list[Candidate] = []
    refused: dict[str, str] = {}
    for spec, attention in modules.items():
        try:
            own = list(_candidates_of(spec, attention, placements, known, meter, slots_of))
        except AttnbenchError as error:
            refused[spec] = str(error)
            continue
        if not own:
            refused[spec] = "takes none of the places"
        found += own
    return Candidates(found, refused)


def _candidates_of(
    spec: str,
    attention: Attention,
    placements: Sequence[str],
    known: BackboneCost,
    meter: CostMeter,
    slots_of: Callable[[str], tuple[Slot, ...]],
) -> Iterator[Candidate]:
    seen = set()
    for text in placements:
        try:
            if text == OFFICIAL:
                place = find_placement(text, attention, known.survey)
                slots = tuple(find_slots(place, known.survey))
            else:
                slots = slots_of(text)
            check_slots(attention, slots)
        except PlacementError:
            continue
        if slots in seen:
            continue
        seen.add(slots)
        delta = _added(attention, slots, known, meter)
        yield Candidate(spec, text, slots, delta, family_of(attention))


def _added(
    attention: Attention, slots: Sequence[Slot], known: BackboneCost, meter: CostMeter
) -> CostPart:
    """Return the exact cost that modules add, less that of the blocks they replace."""
    total = CostPart()
    for slot in slots:
        total += meter.part(attention, slot.channels, slot.size)
    replaced = [slot.path for slot in slots if slot.replaced]
    return total - (known.plain - known.without(replaced)) if replaced else total


def find_placements(places: Sequence[str], survey: SiteSurvey) -> list[str]:
    """Return the canonical placements of kinds and placements; all kinds if there are none.

    Raises:
        RequestError: a placement is malformed, or the network has no blocks.
    """
    blocks = find_blocks(survey)
    kinds = [place for place in places if place in KINDS] if places else list(KINDS)
    given = [canonical_placement(place) for place in places if place not in KINDS]
    for place in given:  # refused as a whole, before anything is measured
        if place != OFFICIAL:
            find_slots(find_placement(place, None, survey), survey)
    if kinds and not blocks:
        raise RequestError(
            "the network has no blocks that attnbench knows: got a network of unknown class. Name "
            "places yourself: --places after:PATH, from attnbench show backbone"
        )
    texts = [text for kind in kinds for text in _placements_of(kind, blocks)]
    return list(dict.fromkeys([*map(canonical_placement, texts), *given]))


def _placements_of(kind: str, blocks: Sequence[Site]) -> Iterator[str]:
    match kind:
        case "single":
            yield from (_after([block]) for block in blocks)
        case "last":
            yield from (_after(blocks[-count:]) for count in range(2, len(blocks)))
        case "stages":
            stages = (list(stage) for _, stage in groupby(blocks, key=lambda block: block.size))
            yield from map(_after, stages)
        case "all":
            yield _after(blocks)
        case "official":
            yield OFFICIAL
        case _:
            if any(block.inside.se for block in blocks):
                yield _EVERY_SE


def _after(blocks: Sequence[Site]) -> str:
    return f"after:{','.join(str(block.layer or block.path) for block in blocks)}"
