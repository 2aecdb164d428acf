"""The page of each module in the report: what its card says, as titles and texts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from attnbench.errors import AttnbenchError
from attnbench.registry.attention import find_attention
from attnbench.registry.plugins import catalog
from attnbench.reports.module_page.document import describe_module

_LISTS = (
    ("How ours differs from the original code", "deviations"),
    ("Known traps", "traps"),
    ("Constraints", "constraints"),
)


def with_sections(data: dict[str, Any]) -> dict[str, Any]:
    """Return the data with sections of each module that is installed here."""
    cards = {name: {**card, "sections": sections_of(name)} for name, card in data["cards"].items()}
    return {**data, "cards": cards}


def sections_of(name: str) -> list[list[str]]:
    """Return title, text and, for code, the tag of each section; none of an unknown module."""
    try:
        found = catalog()
        described = describe_module(find_attention(name, found), found)
    except AttnbenchError:
        return []
    return [list(section) for section in _sections(described)]


def _sections(described: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    paper = described["paper"] or {}
    if paper.get("title"):
        yield "Paper", f"{paper['title']} ({paper.get('venue', '')} {paper.get('year', '')})"
    if described["formula"]:
        yield "Computes", described["formula"], "pre"
    for title, key, at in (("Parameters", "params", "512"), ("MACs", "macs", "512x14x14")):
        if described[f"{key}_text"]:
            count = described[f"{key}_{at}"]
            yield title, f"{described[f'{key}_text']}; {count:,} at {at}"
    if described["official"]:
        places = "; ".join(f"{name}: {place}" for name, place in described["official"].items())
        yield "Official places", f"{places}. {described['official_note']}".strip()
    for title, key in _LISTS:
        if described[key]:
            yield title, "\n".join(described[key]), "pre"
    if described["licence"]:
        yield "Licence of the original", described["licence"]
