"""Names of rows that a reader knows: SE, ULSAM (g = 4), MobileNetV2."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence

from attnbench.registry.backbone_names import BACKBONES
from attnbench.reports.tables.row_views import RowView

_IN_PARENTHESES = re.compile(r"\s*\(([^()]*)\)")
_SYMBOLS = {"groups": "g", "reduction": "r", "kernel_size": "k"}
_TITLES = {backbone.name: backbone.title.partition(",")[0] for backbone in BACKBONES}


def row_names(views: Sequence[RowView]) -> list[str]:
    """Return the name of each row: the suite's own label, else that of its module or backbone."""
    titles = dict.fromkeys(_title(view) for view in views if view.first.case.module)
    seen = Counter(map(abbreviation, titles))
    return [_row_name(view, seen) for view in views]


def _row_name(view: RowView, seen: Mapping[str, int]) -> str:
    case = view.first.case
    label = view.row.label or ""
    if label and "{" not in label and label != "plain":
        return label
    if case.module is None:
        return backbone_name(case.backbone or "")
    title = _title(view)
    name = abbreviation(title)
    options = case.module.partition(",")[2].split(",")
    extras = [_qualifier(title)] if seen[name] > 1 else []
    extras += [_option(option) for option in options if option]
    extras += ["fused"] if case.fused else []
    return f"{name} ({', '.join(extras)})" if extras else name


def _title(view: RowView) -> str:
    module = view.first.case.module or ""
    return str(view.card.get("title") or module.partition(",")[0].replace("_", " "))


def backbone_name(spec: str) -> str:
    """Return ``MobileNetV2``, with another width ``0.35 MobileNetV2``."""
    name, _, options = spec.partition(",")
    title = _TITLES.get(name, name.removeprefix("timm:"))
    width = re.search(r"\bwidth=([\d.]+)", options)
    rest = [_option(part) for part in options.split(",") if part and not part.startswith("width=")]
    named = f"{width[1]} {title}" if width else title
    return f"{named} ({', '.join(rest)})" if rest else named


def abbreviation(title: str) -> str:
    """Return ``SE`` of ``Squeeze-and-excitation (SE)``, else the title without parentheses."""
    found = _IN_PARENTHESES.search(title)
    if found is None:
        return title
    is_short = sum(character.isupper() for character in found[1]) > 1
    return found[1] if is_short else title[: found.start()]


def _qualifier(title: str) -> str:
    """Return what tells a title from others of the same abbreviation."""
    name = _IN_PARENTHESES.split(title)[0]
    return name.rpartition(", ")[2].lower()


def _option(option: str) -> str:
    key, _, value = option.partition("=")
    return f"{_SYMBOLS.get(key, key.replace('_', ' '))} = {value}" if value else key
