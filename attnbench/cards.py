"""The card: the metadata that an attention module declares. Imports no torch."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

FAMILIES = ("channel", "spatial", "mixed", "non-local", "large-kernel", "parameter-free", "control")
CHECK_NAMES = (
    "contract",
    "input_kept",
    "determinism",
    "formulas",
    "maps",
    "widths",
    "batch_independence",
    "batch_one",
    "gradients",
    "dtypes",
    "autocast",
    "memory_layout",
    "device",
    "extremes",
    "nan",
    "state_dict",
    "pickling",
    "deepcopy",
    "fuse",
    "graph",
    "export",
    "training",
    "drift",
    "inductor",
    "onnx",
    "openvino",
    "executorch",
    "int8",
)
"""The checks of ``attnbench check`` in order, which a card's ``exceptions`` may name."""


ParamsFormula = Callable[..., int]
"""``params(channels, **options)``; ``feature_size=(h, w)`` may be among the options."""
MacsFormula = Callable[..., int]
"""``macs(channels, height, width, **options)``: the multiply-adds for one image."""


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
    """Short citation for tables: ``Saini, WACV'20``."""
    year: int
    url: str
    kind: Literal["inproceedings", "article"] = "inproceedings"
    """BibTeX entry type: ``article`` for journals and preprints."""

    def bibtex(self) -> str:
        """Return the BibTeX entry."""
        fields = {
            "title": "{" + self.title + "}",
            "author": " and ".join(self.authors),
            "journal" if self.kind == "article" else "booktitle": self.venue,
            "year": str(self.year),
            "url": self.url,
        }
        # an unescaped ampersand would end a table cell; URLs keep theirs verbatim
        escaped = {name: re.sub(r"(?<!\\)&", r"\\&", value) for name, value in fields.items()}
        escaped["url"] = self.url
        body = "".join(f"  {name} = {{{value}}},\n" for name, value in escaped.items())
        return f"@{self.kind}{{{self.key},\n{body}}}\n"


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
    """The condition in words, for the user: ``channels must be a multiple of groups``."""
    holds: Callable[..., bool]
    """``holds(channels, feature_size=(h, w) | None, **all_options)``."""
    basic: bool = False
    """Flag of a mere sanity check (a width above 0), which listings omit."""


@dataclass(frozen=True, kw_only=True)
class PrintedCost:
    """A simplified cost formula that a paper prints; it differs from the exact cost."""

    source: str
    """The table or equation that prints it."""
    params_text: str
    macs_text: str
    params_tex: str
    macs_tex: str
    params: ParamsFormula
    macs: MacsFormula
    differences: tuple[str, ...]
    """Reasons why the exact counts differ: one sentence each, shown in table footers."""


@dataclass(frozen=True, kw_only=True)
class Card:
    """The metadata of one attention module.

    All fields except ``title`` and ``family`` are optional: a field that a plugin leaves out is
    shown as *not declared* and is counted or left blank, never an error.
    """

    title: str
    family: str
    """One of :data:`FAMILIES`."""
    paper: Paper | None = None
    traits: Traits | None = None
    options: Mapping[str, str] = field(default_factory=dict)
    """One-line description of each constructor option, by name."""
    constraints: tuple[Constraint, ...] = ()
    official: Mapping[str, str] = field(default_factory=dict)
    """Mapping from backbone family (``mobilenet_v2``; ``*`` for any other) to placement."""
    official_note: str = ""
    """The paper's placement of the module and its adaptation to MobileNets."""
    params: ParamsFormula | None = None
    """Exact parameter count, by formula."""
    macs: MacsFormula | None = None
    """Exact multiply-adds for one image, by formula."""
    params_text: str = ""
    macs_text: str = ""
    formula: str = ""
    """The computation in text: ``y = x * sigmoid(W1 relu(W0 mean(x)))``; lines are kept, and text
    after two or more spaces (shapes) gets a column of its own. By default the equations in the
    docstring of the class or of its module, a paragraph of their own."""
    formula_tex: str = ""
    """The formula for LaTeX's display mode, without dollar signs: one equation per line, which
    ``attnbench show`` aligns at the equals signs."""
    printed: PrintedCost | None = None
    deviations: tuple[str, ...] = ()
    """Differences from the original code, each with the option that restores the original."""
    timm: str = ""
    """Differences from timm's layer of the same name, or a note that timm has none."""
    traps: tuple[str, ...] = ()
    dead: Mapping[str, str] = field(default_factory=dict)
    """Parameters without a gradient in training: name or glob (``spatial.*.bias``) to the reason
    (``before a batch norm, which takes every shift away``)."""
    exceptions: Mapping[str, str] = field(default_factory=dict)
    """Checks that cannot hold, by name, with the reason: *declared*, not broken."""
    defects: Mapping[str, str] = field(default_factory=dict)
    """Checks that third-party code is known to fail, with the known defect: reported, not excused.
    For wrapped collections, not for modules of one's own."""
    license: str = ""
    """License of the original code; ours is written from the description."""
    version: int = 1
    """Version number, raised when outputs or costs change: older records are then re-measured."""

    def violated(
        self, channels: int, feature_size: tuple[int, int] | None, options: Mapping[str, Any]
    ) -> str | None:
        """Return the text of the first constraint that does not hold, or None."""
        for constraint in self.constraints:
            if not constraint.holds(channels, feature_size=feature_size, **options):
                return constraint.text
        return None
