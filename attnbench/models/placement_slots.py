"""Slots of a placement in a network: the modules to wrap or replace, with their shapes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from attnbench.errors import PlacementError, RequestError
from attnbench.models.sites import Site, SiteSurvey
from attnbench.registry.attention import Attention
from attnbench.registry.placement_grammar import (
    OFFICIAL,
    Placement,
    PlacementPart,
    glob_pattern,
    parse_placement,
)


@dataclass(frozen=True)
class Slot:
    """One position that a module takes in a network."""

    path: str
    layer: int | None
    replaced: bool
    channels: int
    size: tuple[int, int]

    def __str__(self) -> str:
        """Return ``layer 14 (features.13, 96x14x14)``."""
        shape = f"{self.channels}x{self.size[0]}x{self.size[1]}"
        place = f"{self.path}, {shape}"
        return f"layer {self.layer} ({place})" if self.layer else f"{self.path} ({shape})"


def find_placement(text: str, attention: Attention | None, survey: SiteSurvey) -> Placement:
    """Return the parsed placement; ``official`` stands for the one on the module's card.

    Raises:
        PlacementError: the text is no placement, or the card has none for this backbone.
    """
    if text.strip() != OFFICIAL:
        return parse_placement(text)
    placements = attention.card.official if attention and attention.card else {}
    official = placements.get(survey.family or "*", placements.get("*"))
    if official is None:
        name = attention.name if attention else "the plain backbone"
        where = survey.family or "this backbone"
        raise PlacementError(
            f"placement 'official': {name} declares none for {where}. Write one, such as after:11"
        )
    return parse_placement(official)


def find_slots(placement: Placement, survey: SiteSurvey) -> list[Slot]:
    """Return the slots of a placement, in the order of the network.

    Raises:
        PlacementError: a part names an impossible layer, block or module; the message lists the
            possible ones.
    """
    slots = [slot for part in placement.parts for slot in _part_slots(part, survey)]
    _refuse_overlap(slots, placement)
    order = {path: rank for rank, path in enumerate(survey.paths())}
    return sorted(slots, key=lambda slot: order[slot.path])


def check_slots(attention: Attention, slots: Iterable[Slot]) -> None:
    """Raise :class:`PlacementError` with the slot if the module's constraints forbid one."""
    for slot in slots:
        try:
            attention.check(slot.channels, slot.size)
        except RequestError as error:
            raise PlacementError(f"{slot}: {error}") from error


def _part_slots(part: PlacementPart, survey: SiteSurvey) -> list[Slot]:
    if part.globs:
        slots = [_slot(part, site, survey) for site in _glob_sites(part, survey)]
        slots.sort(key=lambda slot: slot.layer is not None)
        # ** matches a block, its container and its parts; all lead to the same convolution
        return list({slot.path: slot for slot in slots}.values())
    if not survey.layers:
        raise PlacementError(
            f"placement '{part}': layer numbers need a MobileNet whose class is known. "
            f"Name modules by path instead: {_examples(part.position, survey)}"
        )
    for layer in part.layers:
        if layer not in survey.layers:
            raise _impossible(part, f"there is no layer {layer}", survey)
    sites = [survey.site(survey.layers[layer]) for layer in part.layers]
    if part.everywhere:  # the stem and the head have no depthwise convolution
        blocks = [site for site in survey.sites() if site.inside.depthwise]
        sites = [site for site in blocks if _target(part.position, site)]
    if not sites:
        raise PlacementError(f"placement '{part}': no block allows {part.position}")
    return [_slot(part, site, survey) for site in sites]


def _glob_sites(part: PlacementPart, survey: SiteSurvey) -> list[Site]:
    found: dict[str, Site] = {}
    for glob in part.globs:
        sites = [survey.site(path) for path in _matching(glob, part, survey)]
        possible = [site for site in sites if _target(part.position, site)]
        if not possible:
            raise PlacementError(
                f"placement '{part}': {_why_not(part.position, sites[0])}; "
                f"possible: {_examples(part.position, survey)}"
            )
        found.update({site.path: site for site in possible})
    return list(found.values())


def _matching(glob: str, part: PlacementPart, survey: SiteSurvey) -> list[str]:
    """Return the module paths that a glob denotes; a wildcard leaves out ``nn.Identity``."""
    pattern = glob_pattern(glob)
    paths = [path for path in survey.paths() if pattern.fullmatch(path)]
    if not paths:
        raise PlacementError(
            f"placement '{part}': no module path matches {glob!r}; "
            f"possible: {_examples(part.position, survey)}"
        )
    kept = [path for path in paths if "*" not in glob or not survey.is_identity(path)]
    if not kept:
        raise PlacementError(
            f"placement '{part}': {glob!r} matches only nn.Identity, which wildcards leave out. "
            f"Name one without a wildcard: {part.position}:{paths[0]}"
        )
    return kept


def _slot(part: PlacementPart, site: Site, survey: SiteSurvey) -> Slot:
    path = _target(part.position, site)
    if path is None:
        raise _impossible(part, _why_not(part.position, site), survey)
    replaced = part.position in ("replace", "replace-se")
    channels, height, width = survey.shape(path, before=replaced)
    return Slot(path, site.layer, replaced, channels, (height, width))


_TARGETS: dict[str, tuple[str, Callable[[Site], str | None]]] = {
    "after": ("output", lambda site: site.path),
    "replace": ("output", lambda site: site.path if site.replaceable else None),
    "after-depthwise": ("depthwise convolution", lambda site: site.inside.depthwise),
    "after-project": ("pointwise convolution", lambda site: site.inside.project),
    "replace-se": ("squeeze-and-excitation", lambda site: site.inside.se),
}
"""The name of the layer that each position needs, and its path at a site; None without one."""


def _target(position: str, site: Site) -> str | None:
    """Return the path of the module to wrap or replace at a site; None where impossible."""
    return _TARGETS[position][1](site) if site.placeable else None


def _why_not(position: str, site: Site) -> str:
    name = f"layer {site.layer}" if site.layer else site.path
    if site.reason:
        return f"{name} cannot be used: {site.reason}"
    if position == "replace" and site.input:
        output = (site.channels, *site.size)
        if site.input == output:
            return f"{name} is no block"
        before, after = ("x".join(map(str, shape)) for shape in (site.input, output))
        return f"{name} turns {before} into {after}, and a module keeps the shape"
    return f"{name} has no {_TARGETS[position][0]}"


def _impossible(part: PlacementPart, why: str, survey: SiteSurvey) -> PlacementError:
    sites = [site for site in survey.sites() if site.layer and _target(part.position, site)]
    possible = ", ".join(str(site.layer) for site in sites)
    can = f"{part.position} has possible layers: {possible}"
    none = f"no layer allows {part.position}"
    return PlacementError(f"placement '{part}': {why}; {can if possible else none}")


def _refuse_overlap(slots: list[Slot], placement: Placement) -> None:
    paths = [slot.path for slot in slots]
    for slot in slots:
        if paths.count(slot.path) > 1:
            raise PlacementError(f"placement '{placement}' uses {slot} twice")
        within = [path for path in paths if path.startswith(f"{slot.path}.")]
        if slot.replaced and within:
            raise PlacementError(
                f"placement '{placement}' replaces {slot} and also puts a module inside it"
            )


def _examples(position: str, survey: SiteSurvey) -> str:
    """Return the first few possible placements."""
    found = [site.path for site in survey.sites() if _target(position, site)]
    shown = [f"{position}:{path}" for path in found[:3]]
    more = f" and {len(found) - 3} more" if len(found) > 3 else ""
    return ", ".join(shown) + more if shown else f"no module allows {position}"
