"""Sections: a site's own block and the next one, in which a module is timed for all like sites."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from attnbench.choosing.candidates import Candidate
from attnbench.models.placement_slots import Slot
from attnbench.models.sites import Site
from attnbench.suites.case import Case


@dataclass(frozen=True)
class Screen:
    """One place in a section that stands for all sites of its shape."""

    placement: str
    section: str

    def case(self, network: Case, module: str | None) -> Case:
        """Return the latency case of the section with a module, or of the plain section.

        Args:
            network: latency case of the plain network.
            module: spec of the module.
        """
        placement = self.placement if module else None
        return replace(network, module=module, placement=placement, section=self.section)


def screens_of(candidates: Iterable[Candidate], blocks: Sequence[Site]) -> dict[Slot, Screen]:
    """Return the screen of each slot; slots of equal shape and position share one."""
    slots = dict.fromkeys(slot for candidate in candidates for slot in candidate.slots)
    alike: dict[tuple[object, ...], list[Slot]] = {}
    paths = {block.path for block in blocks}
    for slot in slots:
        key = (slot.channels, slot.size, slot.replaced, slot.path in paths)
        alike.setdefault(key, []).append(slot)
    found: dict[Slot, Screen] = {}
    for group in alike.values():
        chosen = min(group, key=lambda slot: _rank(slot, blocks))
        position = "replace" if chosen.replaced else "after"
        screen = Screen(f"{position}:{chosen.path}", "+".join(_section(chosen, blocks)))
        found |= dict.fromkeys(group, screen)
    return found


def _section(slot: Slot, blocks: Sequence[Site]) -> list[str]:
    """Return the paths of the slot's block and of the next one if it takes its output."""
    for block, following in zip(blocks, [*blocks[1:], None], strict=True):
        if slot.path == block.path or slot.path.startswith(f"{block.path}."):
            takes = following and following.input == (block.channels, *block.size)
            return [block.path, following.path] if following and takes else [block.path]
    return [slot.path]


def _rank(slot: Slot, blocks: Sequence[Site]) -> tuple[bool, bool, str]:
    """Return the key by which a slot is chosen: in blocks that keep the shape, the first."""
    inside = _section(slot, blocks)
    sites = {block.path: block for block in blocks}
    return (
        len(inside) < 2,
        not all(sites[path].replaceable for path in inside if path in sites),
        f"{[*sites].index(inside[0]) if inside[0] in sites else 0:06}",
    )


def counts_of(candidate: Candidate, screens: Mapping[Slot, Screen]) -> dict[Screen, int]:
    """Return how often a candidate has each screen."""
    counts: dict[Screen, int] = {}
    for slot in candidate.slots:
        counts[screens[slot]] = counts.get(screens[slot], 0) + 1
    return counts
