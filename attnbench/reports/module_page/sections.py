"""The sections of a module's document, independent of the output format."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from attnbench.conformance.findings import BROKEN, DECLARED, NOTE, SKIPPED, STATUSES
from attnbench.registry.specs import value_text
from attnbench.reports.document import Block, CodeBlock, Equations, Formula, Heading, Items, Rows
from attnbench.reports.tables.footnotes import uncounted_note

UNDECLARED = "not declared"
_TRAITS = {"subspace": "subspace attention", "mlp": "with an MLP", "conv1x1": "1x1 convolutions"}
_COUNTED = (BROKEN, DECLARED, SKIPPED)

Document = Mapping[str, Any]
Blocks = Sequence[Block]


def page_of(document: Document) -> list[Block]:
    """Return a module's page: its headline and its sections, the first one without its title."""
    first, *others = _sections(document)
    page: list[Block] = [Heading(headline(document), 2), *first[1]]
    for title, blocks in others:
        page += [Heading(title, 3), *blocks]
    return page


def headline(document: Document) -> str:
    """Return the spec of a module, with its title where it has one of its own."""
    spec, title = document["spec"], document["title"]
    return spec if title == document["name"] else f"{spec}: {' '.join(title.split())}"


def _sections(document: Document) -> Iterator[tuple[str, Blocks]]:
    """Yield a module's sections in reading order, and the names of those not declared."""
    paper = document["paper"]
    size = "it is built for one map size, feature_size=(h, w)"
    constraints = [*([size] if document["takes_feature_size"] else []), *document["constraints"]]
    sections: dict[str, Blocks] = {
        "Module": [_origin(document)],
        "What it computes": _formula(document),
        "Options": _options(document),
        "Costs": list(_costs(document)),
        "Where it goes": _places(document),
        "How ours differs": _differences(document),
        "Known traps": _declared(document, document["traps"]),
        "Constraints": _declared(document, constraints),
        "Parameters that get no gradient": _rows(document["dead"]),
        "Declared exceptions": _rows(document["exceptions"]),
        "Known defects": _rows(document["defects"]),
        "Conformance": _conformance(document),
        "Licence of the original": [_sentence(document["licence"] or UNDECLARED)],
        "BibTeX": [CodeBlock(paper["bibtex"].rstrip(), "bibtex")] if paper else [],
    }
    yield from ((title, found) for title, found in sections.items() if found not in ([], _NOTHING))
    missing = [title for title, found in sections.items() if found == _NOTHING]
    if missing:
        titles = ", ".join(title[0].lower() + title[1:] for title in missing)
        yield "Not declared", [_sentence(f"{titles}: the module's card can say it")]


def _sentence(text: str) -> Items:
    return Items((), text)


def _rows(rows: Mapping[str, str]) -> Blocks:
    return [Rows(tuple(rows.items()))] if rows else []


_NOTHING: Blocks = [_sentence(UNDECLARED)]


def _origin(document: Document) -> Rows:
    paper, family = document["paper"], document["family"]
    traits = [_TRAITS.get(name, name) for name, has in (document["traits"] or {}).items() if has]
    rows = {
        "paper": f"{paper['title']} ({paper['short']})" if paper else UNDECLARED,
        "address": paper["url"] if paper else "",
        "family": ", ".join([str(family), *map(str, traits)]) if family else UNDECLARED,
        "code": document["origin"],
        "card": f"version {document['version']}" if document["declared"] else UNDECLARED,
    }
    return Rows(tuple((label, text) for label, text in rows.items() if text))


def _formula(document: Document) -> Blocks:
    formula, tex = document["formula"], document["formula_tex"]
    found: Blocks = [*([Formula(formula)] if formula else []), *([Equations(tex)] if tex else [])]
    return found or _NOTHING


def _options(document: Document) -> Blocks:
    rows = {}
    for name, option in document["options"].items():
        value, default = value_text(option["value"]), value_text(option["default"])
        requested = "" if value == default else f" (asked for: {value})"
        rows[f"{name}={default}"] = (option["description"] or UNDECLARED) + requested
    if document["takes_any_option"]:
        rows["..."] = "passes any other option on"
    return _rows(rows) or [_sentence("none")]


def _costs(document: Document) -> Iterator[Block]:
    params = _cost(document, "params_text", "params_512", "512 channels")
    macs = _cost(document, "macs_text", "macs_512x14x14", "512x14x14")
    yield Rows((("parameters", params), ("MACs", macs)))
    if document["costs_uncounted"]:
        yield _sentence(uncounted_note(document["costs_uncounted"]))
    if document["costs_reason"]:
        yield _sentence(f"no values for 512x14x14: {document['costs_reason']}")
    printed = document["printed"]
    if printed:
        params = f"{printed['params_512']:,} parameters, as {printed['params_text']}"
        macs = f"{printed['macs_512x14x14']:,} MACs, as {printed['macs_text']}"
        yield Rows((("printed", f"{params}; {macs} ({printed['source']})"),))
        if printed["differences"]:
            yield Items(tuple(printed["differences"]), "The printed figures differ because:")


def _cost(document: Document, text_key: str, value_key: str, where: str) -> str:
    text, value = document[text_key], document[value_key]
    if value is None:
        return text or UNDECLARED
    if value_key in document["costs_counted"]:
        return f"{value:,} at {where}, counted; a formula is {UNDECLARED}"
    return f"{value:,} at {where}, exactly {text}" if text else f"{value:,} at {where}"


def _places(document: Document) -> Blocks:
    places, note = document["official"], document["official_note"]
    other = "any other backbone" if len(places) > 1 else "any backbone"
    rows = {other if name == "*" else name: place for name, place in places.items()}
    return [*_rows(rows), *([_sentence(note)] if note else [])] or _NOTHING


def _differences(document: Document) -> Blocks:
    if not document["declared"]:
        return _NOTHING
    original = document["deviations"]
    none = f"From the original code: {UNDECLARED if document['paper'] else 'none'}."
    timm = document["timm"] or f"{UNDECLARED.capitalize()}."
    return [
        Items(tuple(original), "From the original code:") if original else _sentence(none),
        Items((timm,), "From timm:"),
    ]


def _declared(document: Document, texts: Sequence[str]) -> Blocks:
    if texts:
        return [Items(tuple(texts))]
    return [_sentence("none declared")] if document["declared"] else _NOTHING


def _conformance(document: Document) -> Blocks:
    found = document["conformance"]
    if found is None:
        return []
    text = f"{summary(found['findings'])}: attnbench check {document['spec']} shows them"
    broken = _broken(found["findings"])
    return [
        _sentence(text),
        *([Items(broken, "Broken:")] if broken else []),
        _sentence(drift_text(document["drift"])),
    ]


def summary(findings: Sequence[Mapping[str, Any]]) -> str:
    """Return ``22 checks hold, 1 declared, 2 notes``, by each check's most severe finding."""
    worst: dict[str, str] = {}
    for finding in sorted(findings, key=lambda finding: STATUSES.index(finding["status"])):
        worst.setdefault(finding["check"], finding["status"])
    statuses = Counter(worst.values())
    holding = len(worst) - sum(statuses[status] for status in _COUNTED)
    notes = sum(finding["status"] == NOTE for finding in findings)
    parts = [
        f"{holding} {'check holds' if holding == 1 else 'checks hold'}",
        *(f"{statuses[status]} {status}" for status in _COUNTED if statuses[status]),
        *([f"{notes} {'note' if notes == 1 else 'notes'}"] if notes else []),
    ]
    return ", ".join(parts)


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
