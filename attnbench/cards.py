"""The card: what an attention module declares of itself. Imports no torch."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from attnbench.conformance.checks import CHECKS
from attnbench.errors import PlacementError, suggestion
from attnbench.placement.grammar import parse_placement

FAMILIES = (
    "channel",
    "spatial",
    "mixed",
    "non-local",
    "large-kernel",
    "parameter-free",
    "control",
)


class ParamsFormula(Protocol):
    """Closed form of a parameter count; ``feature_size=(h, w)`` may come among the options."""

    def __call__(self, channels: int, **options: Any) -> int: ...  # noqa: D102


class MacsFormula(Protocol):
    """Closed form of the multiply-adds for one image of (channels, height, width)."""

    def __call__(  # noqa: D102
        self, channels: int, height: int, width: int, **options: Any
    ) -> int: ...


@dataclass(frozen=True, kw_only=True)
class Paper:
    """The publication a module comes from."""

    key: str
    """BibTeX key, ``saini2020ulsam``."""
    title: str
    authors: tuple[str, ...]
    """``("Saini, Rajat", "Jha, Nandan Kumar")``, family name first."""
    venue: str
    """Full name of the conference or journal, for BibTeX."""
    short: str
    """The way tables cite it: ``Saini, WACV'20``."""
    year: int
    url: str
    kind: Literal["inproceedings", "article"] = "inproceedings"
    """BibTeX's entry: ``article`` for journals and preprints."""

    def bibtex(self) -> str:
        """Return the BibTeX entry."""
        fields = {
            "title": "{" + self.title + "}",
            "author": " and ".join(self.authors),
            "journal" if self.kind == "article" else "booktitle": self.venue,
            "year": str(self.year),
            "url": self.url,
        }
        # an ampersand as it stands would end a cell; addresses take theirs verbatim
        body = "".join(
            f"  {name} = {{{value if name == 'url' else _ampersands(value)}}},\n"
            for name, value in fields.items()
        )
        return f"@{self.kind}{{{self.key},\n{body}}}\n"


def _ampersands(text: str) -> str:
    return re.sub(r"(?<!\\)&", r"\\&", text)


@dataclass(frozen=True, kw_only=True)
class Traits:
    """The tick columns of the ULSAM comparison table."""

    subspace: bool = False
    mlp: bool = False
    conv1x1: bool = False


@dataclass(frozen=True)
class Constraint:
    """A condition on channels, feature size and options, checked before anything is built."""

    text: str
    """What must hold, as the user reads it: ``channels must be a multiple of groups``."""
    holds: Callable[..., bool]
    """``holds(channels, feature_size=(h, w) | None, **all_options)``."""
    basic: bool = False
    """It only keeps out nonsense (a width of 0); listings leave it out."""


@dataclass(frozen=True, kw_only=True)
class PrintedCost:
    """A simplified cost formula that a paper prints, which is not what the module costs."""

    source: str
    """Where it is printed."""
    params_text: str
    macs_text: str
    params_tex: str
    macs_tex: str
    params: ParamsFormula
    macs: MacsFormula
    differences: tuple[str, ...]
    """Why the exact counts differ: one sentence each, shown in table footers."""


@dataclass(frozen=True, kw_only=True)
class Card:
    """What a module declares of itself.

    Everything but ``title`` and ``family`` is optional: what a plugin does not declare reads
    *not declared* and is counted or left blank, never refused.
    """

    title: str
    family: str
    """One of :data:`FAMILIES`."""
    paper: Paper | None = None
    traits: Traits | None = None
    options: Mapping[str, str] = field(default_factory=dict)
    """One line on each constructor option, by name."""
    constraints: tuple[Constraint, ...] = ()
    official: Mapping[str, str] = field(default_factory=dict)
    """Backbone family (``mobilenet_v2``; ``*`` for any other) to placement."""
    official_note: str = ""
    """Where the paper puts the module and how that was carried over to MobileNets."""
    params: ParamsFormula | None = None
    """Exact parameters, by formula."""
    macs: MacsFormula | None = None
    """Exact multiply-adds of one image, by formula."""
    params_text: str = ""
    macs_text: str = ""
    formula: str = ""
    """What it computes, in text: ``y = x * sigmoid(W1 relu(W0 mean(x)))``; lines are kept, and what
    stands behind two or more spaces (shapes) gets a column of its own."""
    formula_tex: str = ""
    """The same for LaTeX's display mode, without the dollars: one equation a line, which
    ``attnbench show`` sets below each other at their equals signs."""
    printed: PrintedCost | None = None
    deviations: tuple[str, ...] = ()
    """How ours differs from the original code, and which option brings the original back."""
    timm: str = ""
    """How ours differs from timm's layer of the same name, or that timm has none."""
    traps: tuple[str, ...] = ()
    dead: Mapping[str, str] = field(default_factory=dict)
    """Parameters that get no gradient in training: name or glob (``spatial.*.bias``) to the reason
    (``before a batch norm, which takes every shift away``)."""
    exceptions: Mapping[str, str] = field(default_factory=dict)
    """Checks of ``attnbench check`` that cannot hold, by name, and why: *declared*, not broken."""
    defects: Mapping[str, str] = field(default_factory=dict)
    """Checks that somebody else's code is known to fail, and the known defect: named, not excused.
    For collections that are wrapped, not for modules of one's own."""
    licence: str = ""
    """Licence of the original code; ours is written from the description."""
    version: int = 1
    """Raised when the module's outputs or costs change: older records are measured again."""

    def problems(self) -> list[str]:
        """Return what is wrong with the card itself, in sentences; empty when it is sound."""
        found = []
        odd = self._odd_types()
        if odd:
            return odd  # the rest could not be looked at
        if self.family not in FAMILIES:
            found.append(f"family {self.family!r} is none of {', '.join(FAMILIES)}")
        if not self.title.strip():
            found.append("title is empty")
        if self.version < 1:
            found.append(f"version {self.version} is not a positive integer")
        found += [*self._odd_exceptions(), *self._odd_places()]
        if self.paper and not re.fullmatch(r"[A-Za-z0-9:_-]+", self.paper.key):
            found.append(f"paper key {self.paper.key!r} is not a BibTeX key")
        return found

    def _odd_types(self) -> list[str]:
        return [
            f"{name} is a {type(getattr(self, name)).__name__}, not {_named(kinds)}"
            for name, kinds in _KINDS.items()
            if not isinstance(getattr(self, name), kinds)
        ]

    def _odd_exceptions(self) -> Iterator[str]:
        if "contract" in self.exceptions:
            yield "the check 'contract' has no exceptions: without it nothing else holds"
        for check, why in {**self.exceptions, **self.defects}.items():
            if check not in CHECKS:
                yield f"{check!r} is no check, {why!r} excuses none.{suggestion(check, CHECKS)}"
            elif not why.strip():
                yield f"the exception {check!r} has no reason"

    def _odd_places(self) -> Iterator[str]:
        for family, placement in self.official.items():
            try:
                parse_placement(placement)
            except PlacementError as error:
                yield f"its official placement in {family}: {error}"

    def violated(
        self, channels: int, feature_size: tuple[int, int] | None, options: Mapping[str, Any]
    ) -> str | None:
        """Return the text of the first constraint that does not hold, or None."""
        for constraint in self.constraints:
            if not constraint.holds(channels, feature_size=feature_size, **options):
                return constraint.text
        return None


_NOTHING = type(None)
_TEXTS = (
    "title",
    "family",
    "official_note",
    "params_text",
    "macs_text",
    "formula",
    "formula_tex",
    "timm",
    "licence",
)
_KINDS: Mapping[str, tuple[Any, ...]] = {
    **dict.fromkeys(_TEXTS, (str,)),
    "version": (int,),
    "paper": (Paper, _NOTHING),
    "traits": (Traits, _NOTHING),
    "printed": (PrintedCost, _NOTHING),
    "params": (Callable, _NOTHING),
    "macs": (Callable, _NOTHING),
    **dict.fromkeys(("options", "official", "dead", "exceptions", "defects"), (Mapping,)),
    **dict.fromkeys(("constraints", "deviations", "traps"), (tuple, list)),
}
"""What each field of a card must be; a plugin's is not type-checked by anybody else."""


def _named(kinds: tuple[Any, ...]) -> str:
    return " or ".join("None" if one is _NOTHING else f"a {one.__name__}" for one in kinds)
