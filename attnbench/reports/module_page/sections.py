"""The sections of a module's document, independent of the output format."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from attnbench.conformance.findings import BROKEN, DECLARED, NOTE, SKIPPED, STATUSES
from attnbench.registry.specs import value_text
from attnbench.reports.document import (
    Block,
    CodeBlock,
    Equations,
    Formula,
    Heading,
    Items,
    Rows,
)

UNDECLARED = "not declared"
_TRAITS = {"subspace": "subspace attention", "mlp": "with an MLP", "conv1x1": "1x1 convolutions"}
_COUNTED = (BROKEN, DECLARED, SKIPPED)

Document = Mapping[str, Any]


@dataclass(frozen=True)
class Section:
    """A title with the blocks below it."""

    title: str
    blocks: tuple[Block, ...]


def page_of(document: Document) -> list[Block]:
    """Return a module's page: its headline and its sections, the first one without its title."""
    blocks: list[Block] = [Heading(headline(document), 2)]
    for number, section in enumerate(sections_of(document)):
        blocks += [Heading(section.title, 3)] if number else []
        blocks += section.blocks
    return blocks


def headline(document: Document) -> str:
    """Return the spec of a module, with its title where it has one of its own."""
    spec, title = document["spec"], document["title"]
    return spec if title == document["name"] else f"{spec}: {' '.join(title.split())}"


def sections_of(document: Document) -> tuple[Section, ...]:
    """Return a module's sections in reading order."""
    parts = (
        Section("Module", (_origin(document),)),
        Section("What it computes", _formula(document)),
        Section("Options", _options(document)),
        Section("Costs", _costs(document)),
        Section("Where it goes", _places(document)),
        Section("How ours differs", _differences(document)),
        Section("Known traps", _declared(document, document["traps"])),
        Section("Constraints", _constraints(document)),
        Section("Parameters that get no gradient", _reasons(document["dead"])),
        Section("Declared exceptions", _reasons(document["exceptions"])),
        Section("Known defects", _reasons(document["defects"])),
        Section("Conformance", _conformance(document)),
        Section("Licence of the original", (_sentence(document["licence"] or UNDECLARED),)),
        Section("BibTeX", _bibtex(document)),
    )
    declared = tuple(part for part in parts if part.blocks and part.blocks != (_NOTHING,))
    missing = [part.title for part in parts if part.blocks == (_NOTHING,)]
    return (*declared, *((Section("Not declared", (_missing(missing),)),) if missing else ()))


def _missing(titles: list[str]) -> Items:
    titles = [title[0].lower() + title[1:] for title in titles]
    return _sentence(f"{', '.join(titles)}: the module's card can say it")


def _sentence(text: str) -> Items:
    return Items((), text)


_NOTHING = _sentence(UNDECLARED)


def _origin(document: Document) -> Rows:
    paper = document["paper"]
    family = document["family"]
    traits = [_TRAITS.get(name, name) for name, has in (document["traits"] or {}).items() if has]
    rows = [
        ("paper", f"{paper['title']} ({paper['short']})" if paper else UNDECLARED),
        ("address", paper["url"] if paper else ""),
        ("family", ", ".join([family, *traits]) if family else UNDECLARED),
        ("code", document["origin"]),
        ("card", f"version {document['version']}" if document["declared"] else UNDECLARED),
    ]
    return Rows(tuple(row for row in rows if row[1]))


def _formula(document: Document) -> tuple[Block, ...]:
    formula, tex = document["formula"], document["formula_tex"]
    if not formula and not tex:
        return (_NOTHING,)
    return (*([Formula(formula)] if formula else []), *([Equations(tex)] if tex else []))


def _options(document: Document) -> tuple[Block, ...]:
    rows = []
    for name, option in document["options"].items():
        value, default = value_text(option["value"]), value_text(option["default"])
        text = option["description"] or UNDECLARED
        requested = "" if value == default else f" (asked for: {value})"
        rows.append((f"{name}={default}", text + requested))
    if document["takes_any_option"]:
        rows.append(("...", "passes any other option on"))
    return (Rows(tuple(rows)),) if rows else (_sentence("none"),)


def _costs(document: Document) -> tuple[Block, ...]:
    rows = [
        ("parameters", _cost(document, "params_text", "params_512", "512 channels")),
        ("MACs", _cost(document, "macs_text", "macs_512x14x14", "512x14x14")),
    ]
    blocks: list[Block] = [Rows(tuple(rows))]
    if document["costs_reason"]:
        blocks.append(_sentence(f"no values for 512x14x14: {document['costs_reason']}"))
    printed = document["printed"]
    if printed:
        blocks.append(Rows(_printed(printed)))
        if printed["differences"]:
            blocks.append(
                Items(tuple(printed["differences"]), "The printed figures differ because:")
            )
    return tuple(blocks)


def _printed(printed: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    params = f"{printed['params_512']:,} parameters, as {printed['params_text']}"
    macs = f"{printed['macs_512x14x14']:,} MACs, as {printed['macs_text']}"
    return (("printed", f"{params}; {macs} ({printed['source']})"),)


def _cost(document: Document, text_key: str, value_key: str, where: str) -> str:
    text, value = document[text_key], document[value_key]
    if value is None:
        return text or UNDECLARED
    if value_key in document["costs_counted"]:
        return f"{value:,} at {where}, counted; a formula is {UNDECLARED}"
    return f"{value:,} at {where}, exactly {text}" if text else f"{value:,} at {where}"


def _places(document: Document) -> tuple[Block, ...]:
    places, note = document["official"], document["official_note"]
    if not places and not note:
        return (_NOTHING,)
    other = "any other backbone" if len(places) > 1 else "any backbone"
    rows = tuple((other if name == "*" else name, place) for name, place in places.items())
    return (*((Rows(rows),) if rows else ()), *((_sentence(note),) if note else ()))


def _differences(document: Document) -> tuple[Block, ...]:
    if not document["declared"]:
        return (_NOTHING,)
    original = document["deviations"]
    return (
        Items(tuple(original), "From the original code:")
        if original
        else _sentence(f"From the original code: {UNDECLARED if document['paper'] else 'none'}."),
        Items((document["timm"] or f"{UNDECLARED.capitalize()}.",), "From timm:"),
    )


def _declared(document: Document, texts: list[str]) -> tuple[Block, ...]:
    if texts:
        return (Items(tuple(texts)),)
    return (_sentence("none declared"),) if document["declared"] else (_NOTHING,)


def _constraints(document: Document) -> tuple[Block, ...]:
    needed = "it is built for one map size, feature_size=(h, w)"
    sizes = [needed] if document["takes_feature_size"] else []
    return _declared(document, [*sizes, *document["constraints"]])


def _reasons(reasons: Mapping[str, str]) -> tuple[Block, ...]:
    return (Rows(tuple(reasons.items())),) if reasons else ()


def _conformance(document: Document) -> tuple[Block, ...]:
    found = document["conformance"]
    if found is None:
        return ()
    text = f"{summary(found['findings'])}: attnbench check {document['spec']} shows them"
    broken = _broken(found["findings"])
    return (
        _sentence(text),
        *((Items(broken, "Broken:"),) if broken else ()),
        _sentence(drift_text(document["drift"])),
    )


def summary(findings: Sequence[Mapping[str, Any]]) -> str:
    """Return ``22 checks hold, 1 declared, 2 notes``, by each check's most severe finding."""
    worst: dict[str, str] = {}
    for finding in findings:
        before = worst.get(finding["check"], finding["status"])
        worst[finding["check"]] = min(before, finding["status"], key=STATUSES.index)
    statuses = list(worst.values())
    holding = sum(1 for status in statuses if status not in _COUNTED)
    parts = [f"{holding} {'check holds' if holding == 1 else 'checks hold'}"]
    parts += [f"{statuses.count(status)} {status}" for status in _COUNTED if status in statuses]
    notes = sum(1 for finding in findings if finding["status"] == NOTE)
    return ", ".join([*parts, *([f"{notes} {'note' if notes == 1 else 'notes'}"] if notes else [])])


def drift_text(drift: float | None) -> str:
    """Return the drift as a sentence, with two significant digits: 0.51%, 0.0012%, 26%, 140%."""
    if drift is None:
        return "how much it changes an untrained map is not known"
    if drift == 0:
        return "leaves every map as it is before training"
    percent = 100 * drift
    figure = f"{percent:.0f}%" if percent >= 10 else f"{percent:.2g}%"
    return f"changes an untrained map by {figure} (||y-x||/||x||)"


def _broken(findings: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """Return a line for each broken check: its first finding and the number of others."""
    reasons: dict[str, list[str]] = {}
    for finding in findings:
        if finding["status"] == BROKEN:
            reasons.setdefault(finding["check"], []).append(finding["reason"])
    return tuple(
        f"{check}: {first}" + (f" (and {len(more)} more)" if more else "")
        for check, (first, *more) in reasons.items()
    )


def _bibtex(document: Document) -> tuple[Block, ...]:
    paper = document["paper"]
    return (CodeBlock(paper["bibtex"].rstrip(), "bibtex"),) if paper else ()
