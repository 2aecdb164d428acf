"""Schema of suite files: a field for each TOML key, and the source of the JSON Schema."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar, get_type_hints

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    StringConstraints,
    create_model,
    model_serializer,
    model_validator,
)

from attnbench.errors import suggestion
from attnbench.runtimes.runtime import Precision
from attnbench.suites.case import Conditions

if TYPE_CHECKING:
    from attnbench.stats.verdict import AccuracyRule

S = TypeVar("S", bound=BaseModel)
ColumnKey = Literal[
    "label",
    "placement",
    "traits",
    "formula",
    "params",
    "trainable",
    "macs",
    "activations",
    "bytes",
    "delta_params",
    "delta_macs",
    "params_norm",
    "macs_norm",
    "printed_params",
    "printed_macs",
    "printed_params_norm",
    "printed_macs_norm",
    "top1",
    "top5",
    "counters",
]
GroupColumnKey = Literal["params", "macs", "top1", "top5"]
LatencyColumnKey = Literal[
    "overhead",
    "median",
    "p90",
    "p99",
    "min",
    "throughput",
    "peak",
    "export",
    "floor",
    "sqnr",
    "top1",
]
AccuracyColumnKey = Literal[
    "top1", "top5", "difference", "int8", "int8_difference", "mcnemar", "seconds"
]
Metric = Literal["params", "macs", "params_norm", "macs_norm", "top1", "top5"]
SuiteName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]*$")]
Positive = Annotated[int, Field(ge=1)]
Size = Positive | Annotated[tuple[Positive, Positive], Field(strict=False)]
Text = Annotated[str, StringConstraints(min_length=1, strip_whitespace=True)]
BestKey = Literal["params", "macs", "activations", "bytes", "top1", "top5"]
_NORMALIZED = ("params_norm", "macs_norm")
FIGURE = re.compile(
    r"(?P<digits>[+-]?[0-9]+(,[0-9]{3})*(\.(?P<decimals>[0-9]+))?) ?"
    r"(?P<scale>[kKMGB]?)(?P<mark>[x×%]?)"
)
"""A printed figure: ``261.88M``, ``524k``, ``33x``, ``70.65``."""


def _is_figure(text: str) -> str:
    if not FIGURE.fullmatch(text.strip()):
        raise ValueError("must be a figure such as 261.88M, 524k, 33x or 70.65")
    return text


Figure = Annotated[str, AfterValidator(_is_figure)] | float
OneOrMore = Text | Annotated[list[Text], Field(min_length=1)]


class _Strict(BaseModel):
    # strict: `size = true` or `channels = "512"` is an error, not a number
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, strict=True)


class Head(_Strict):
    """``[suite]``: what the suite is and the conditions that all its cases share."""

    name: SuiteName
    version: Positive = 1
    """Version of the suite's meaning: an increment invalidates its records."""
    title: Text
    source: str = ""
    """Source of the printed figures."""
    url: str = ""
    size: Size = 224
    """Input height and width, or one number for both."""
    counters: bool = False
    """Additional counts by fvcore, ptflops and torch, with reconciliation."""
    limit_s: Annotated[float, Field(gt=0)] = 600.0
    """Time limit of a case in seconds."""
    memory_gib: Annotated[float, Field(gt=0)] | None = None
    """Limit of the resident memory of a case; by default four fifths of the machine's memory, which
    trainings that run side by side share. With a limit, as many trainings run as fit into that."""
    notes: list[Text] = []


class Nominal(_Strict):
    """``[nominal."BACKBONE"]``: the source's own figures of the plain backbone.

    The source's convention is then nominal backbone, less the weights of what was replaced, plus
    its formula for each module.
    """

    params: Annotated[float, Field(gt=0)]
    macs: Annotated[float, Field(gt=0)]


class Convention(_Strict):
    """``[convention]``: how the source counts and writes its figures, where it says so."""

    norms: bool = False
    """Inclusion of the parameters of norms."""
    base: Literal[1000, 1024] = 1000
    """Base of the prefixes k, M and G."""


class Groups(_Strict):
    """``[table.groups]``: one option varied across column groups."""

    option: Text
    values: Annotated[list[bool | int | float | str], Field(min_length=1)]
    label: Text
    """Head of a group; ``{}`` is replaced by the value."""
    columns: Annotated[list[GroupColumnKey], Field(min_length=1)]


def _each_once(values: list[Any]) -> list[Any]:
    for value in values:
        if values.count(value) > 1:
            raise ValueError(f"contains {value!r} twice")
    return values


Unique = AfterValidator(_each_once)
Runtimes = Annotated[list[Text], Field(min_length=1), Unique]
Precisions = Annotated[list[Precision], Field(min_length=1), Unique]
Seconds = Annotated[float, Field(gt=0)]
LatencyColumns = Annotated[list[LatencyColumnKey], Field(min_length=1), Unique]


class Latency(_Strict):
    """``[latency]``: how latency is measured, in all tables that have it."""

    runtimes: Runtimes = ["eager", "onnxruntime"]
    """One group of columns each: ``eager``, ``eager-channels-last``, ``compile``,
    ``onnxruntime``, ``openvino``, ``executorch``."""
    precisions: Precisions = ["fp32"]
    batch: Positive = 1
    threads: Positive = 1
    device: Text = "cpu"
    cold: bool = False
    """CUDA only: cache flush before each call."""
    graph: bool = False
    """CUDA only: replay of each call as a graph."""
    budget_s: Seconds = 10.0
    """Sampling time, in seconds, per process of a session: all arms of a backbone in a runtime."""
    processes: Positive = 3
    """Number of fresh processes whose samples are pooled."""
    columns: LatencyColumns = ["overhead", "median"]
    """Columns of each runtime's group."""
    rank: str | None = None
    """Runtime whose overhead determines the order of rows; by default the order of the file."""

    def conditions(self) -> list[Conditions]:
        """Return the conditions, one for each group of columns."""
        return [
            Conditions(
                runtime,
                self.batch,
                precision,
                self.device,
                self.threads,
                self.cold,
                self.graph,
            )
            for precision in self.precisions
            for runtime in self.runtimes
        ]


class _Overrides(_Strict):
    def over(self, defaults: S) -> S:
        """Return ``defaults``, overridden by the values given here."""
        return defaults.model_copy(update=self.model_dump(exclude_none=True))


def _optional_fields_of(settings: type[_Strict]) -> Callable[[type[S]], type[S]]:
    """Return a decorator that adds the fields of ``settings`` to a model, each optional."""
    hints = get_type_hints(settings, include_extras=True)
    fields: dict[str, Any] = {key: (hints[key] | None, None) for key in settings.model_fields}

    def extend(model: type[S]) -> type[S]:
        return create_model(
            model.__name__,
            __base__=model,
            __doc__=model.__doc__,
            __module__=model.__module__,
            **fields,
        )

    return extend


@_optional_fields_of(Latency)
class TableLatency(_Overrides):
    """``[table.latency]``: makes a table one with latency; what it leaves out is the suite's."""


class _RaceUnsaid(BaseModel):
    """Omits the settings of a race where there are none: they change no suite's hash."""

    @model_serializer(mode="wrap")
    def _said(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {
            key: value
            for key, value in write(self).items()
            if value is not None or key not in ("until", "margin")
        }


AccuracyColumns = Annotated[list[AccuracyColumnKey], Unique]


class Accuracy(_RaceUnsaid, _Strict):
    """``[accuracy]``: how accuracy is measured, in all tables that have it."""

    dataset: Text = "digits"
    """Data set of ``attnbench list datasets``, ``folder:PATH`` or ``folder:PATH,labels=FILE``."""
    recipe: Text | None = None
    """Name or path of a recipe; by default the data set's own."""
    epochs: Positive | None = None
    """Number of epochs, instead of the recipe's."""
    seeds: Positive = 3
    """Number of trainings of each arm; the most of them with ``until``."""
    until: Literal["decided"] | None = None
    """``decided``: seeds are added until each arm has a verdict."""
    margin: Annotated[float, Field(gt=0)] | None = None
    """Largest difference in points that is called *the same*; by default 0.5."""
    backbones: Annotated[list[Text], Field(min_length=1)] | None = None
    """Backbones of the trained rows; all by default."""
    weights: Text | None = None
    """File of initial weights of the plain backbone."""
    int8: bool = False
    """Additional top-1 accuracy after quantization to int8."""
    threads: Positive = 1
    """Number of processor threads of each training; trainings run in parallel on all cores."""
    gpu: bool = False
    """Requirement of a GPU: without one, the trainings are skipped, as they would take weeks."""
    patience_s: Annotated[float, Field(gt=0)] = 600.0
    """Time limit, in seconds, between two heartbeats of a training."""
    columns: AccuracyColumns = ["top1", "difference"]
    """Accuracy columns of the table."""

    @property
    def rule(self) -> AccuracyRule:
        """Return the criteria for the verdicts."""
        from attnbench.stats.verdict import AccuracyRule  # scipy, which few commands need

        rule = AccuracyRule(familywise=self.until is not None)
        return rule if self.margin is None else replace(rule, same_margin=self.margin)


@_optional_fields_of(Accuracy)
class TableAccuracy(_RaceUnsaid, _Overrides):
    """``[table.accuracy]``: makes a table one with accuracy; what it leaves out is the suite's."""


class PaperLayout(_Strict):
    """``[table.paper]``: the table as ``attnbench table --preset paper`` typesets it."""

    title: Text | None = None
    """Caption; by default the table's title."""
    columns: Annotated[list[ColumnKey | LatencyColumnKey | AccuracyColumnKey], Unique] = []
    """Columns besides those of column groups; by default at most seven that fit the page."""
    rows: Literal["all", "printed"] = "all"
    """Rows; ``printed``: only those with printed figures and added ones."""
    head: Text | None = None
    """Head above the columns of accuracy."""
    beside: bool = False
    """The columns of accuracy stand in the table above, beside its own, matched by label."""
    notes: list[Text] | None = None
    """Notes below the table; by default the table's."""


class Row(_Strict):
    """``[[table.row]]``: one row, or the product of the lists in it."""

    label: str | None = None
    """Label of the row; ``{backbone}``, ``{module}``, ``{placement}``, ``{size}`` are replaced."""
    backbone: OneOrMore | None = None
    module: OneOrMore | None = None
    """Specs, ``@all`` or ``@family:NAME``; absent for the plain backbone."""
    placement: OneOrMore | None = None
    channels: Positive | list[Positive] | None = None
    """Number of channels of a module alone, together with ``size``."""
    size: Size | None = None
    forms: Annotated[list[Literal["plain", "fused"]], Field(min_length=1), Unique] = ["plain"]
    """Forms of the module; ``fused`` adds a row for each module with an inference form."""
    control: Literal["wider"] | None = None
    """Control; ``wider``: plain backbones whose width brackets the multiply-adds of the arms."""
    printed: dict[Metric, Figure | list[Figure]] = {}
    """Printed figures of the source (``"261.88M"``); a list has one per column group."""
    reasons: dict[Metric, Text] = {}
    """Reason for a difference from the printed figure: a key of ``[reasons]`` or a sentence."""
    guesses: dict[Metric, Text] = {}
    """Guess at the reason, written as in ``reasons``: it explains nothing, the cell *differs*."""
    note: str = ""

    @model_validator(mode="after")
    def _consistent(self) -> Row:
        if self.backbone is None and self.module is None:
            raise ValueError("a row needs a backbone, a module or both")
        if self.backbone is None and self.channels is None:
            raise ValueError("a module alone needs channels and a size")
        if self.backbone is not None and self.channels is not None:
            raise ValueError("channels are for modules alone: remove channels or backbone")
        if self.backbone is not None and (self.module is None) != (self.placement is None):
            raise ValueError("a backbone needs both module and placement, or neither")
        if self.backbone is None and self.placement is not None:
            raise ValueError("a placement needs a backbone")
        if self.control and (self.module is not None or not isinstance(self.backbone, str)):
            raise ValueError("control = wider needs exactly one backbone and no module")
        if "fused" in self.forms and self.module is None:
            raise ValueError("forms = fused needs a module")
        for metric in self.reasons.keys() & self.guesses:
            raise ValueError(
                f"{metric} has a reason and a guess: keep the reason if it follows from the "
                "source, else the guess"
            )
        if self.printed and self.is_many():
            raise ValueError(
                "printed figures belong to a single row: write a row for each item of its lists"
            )
        return self

    def selects(self) -> bool:
        """Return whether a selector names the modules."""
        named = self.module if isinstance(self.module, list) else [self.module or ""]
        return any(selector.startswith("@") for selector in named)

    def is_many(self) -> bool:
        """Return whether the row expands to several rows."""
        return len(self.forms) > 1 or any(
            isinstance(value, list) or (isinstance(value, str) and value.startswith("@"))
            for value in (self.backbone, self.module, self.placement, self.channels)
        )


class TableLayout(_Strict):
    """``[[table]]``: columns and rows of one table."""

    title: str = ""
    columns: Annotated[list[ColumnKey], Field(min_length=1)]
    groups: Groups | None = None
    latency: TableLatency | None = None
    """Latency settings, which add a group of columns for each runtime."""
    accuracy: TableAccuracy | None = None
    """Accuracy settings, which add accuracy columns."""
    reference: str | None = None
    """Label of the reference row of normalized columns."""
    best: dict[BestKey, Literal["min", "max"]] = {}
    """Columns whose best measured figure is bold."""
    cite: bool = False
    """Citation of the modules' papers in the LaTeX table, with a BibTeX file beside it."""
    notes: list[Text] = []
    paper: PaperLayout = PaperLayout()
    row: Annotated[list[Row], Field(min_length=1)]

    @model_validator(mode="after")
    def _consistent(self) -> TableLayout:
        if self.reference is not None and self.reference not in [row.label for row in self.row]:
            raise ValueError(f"reference is the label of no row: got {self.reference!r}")
        normalized = [column for column in self.columns if column in _NORMALIZED]
        if normalized and self.reference is None:
            raise ValueError(f"column {normalized[0]} needs a reference: the label of a row")
        if self.groups and self.latency:
            raise ValueError("a table cannot have both column groups and latency")
        if self.latency and any(row.control for row in self.row):
            raise ValueError("rows with control = wider have no latency: remove latency")
        if self.paper.rows == "printed" and not any(row.printed for row in self.row):
            raise ValueError("paper.rows = printed needs a row with printed figures")
        groups = len(self.groups.values) if self.groups else 0
        for number, row in enumerate(self.row, start=1):
            for metric, figure in row.printed.items():
                if isinstance(figure, list) and (not figure or len(figure) != groups):
                    raise ValueError(
                        f"row[{number}].printed.{metric} has {len(figure)} figures for "
                        f"{groups} column groups"
                    )
        return self


class Suite(_Strict):
    """A whole suite file."""

    suite: Head
    latency: Latency | None = None
    accuracy: Accuracy | None = None
    nominal: dict[str, Nominal] = {}
    convention: Convention = Convention()
    reasons: dict[str, Text] = {}
    table: Annotated[list[TableLayout], Field(min_length=1)]

    def latency_of(self, layout: TableLayout) -> Latency | None:
        """Return the latency settings of a table, or None."""
        return layout.latency.over(self.latency or Latency()) if layout.latency else None

    def accuracy_of(self, layout: TableLayout) -> Accuracy | None:
        """Return the accuracy settings of a table, or None."""
        return layout.accuracy.over(self.accuracy or Accuracy()) if layout.accuracy else None

    @model_validator(mode="after")
    def _consistent(self) -> Suite:
        if self.latency is not None and not any(layout.latency for layout in self.table):
            raise ValueError("no table has latency: write latency = {} under [[table]]")
        if self.accuracy is not None and not any(layout.accuracy for layout in self.table):
            raise ValueError("no table has accuracy: write accuracy = {} under [[table]]")
        if self.table[0].paper.beside:
            raise ValueError("table[1].paper.beside needs a table above it: remove beside")
        for layout in self.table:
            accuracy = self.accuracy_of(layout)
            if layout.groups and accuracy and accuracy.columns:
                raise ValueError(
                    "a table with column groups shows accuracy in them (top1, top5); write "
                    "columns = [] under [table.accuracy]"
                )
            for row in layout.row:
                for reason in (*row.reasons.values(), *row.guesses.values()):
                    # a single word is a key, several words are a sentence
                    if " " not in reason and reason not in self.reasons:
                        near = suggestion(reason, self.reasons)
                        raise ValueError(f"reason is not a key of [reasons]: got {reason!r}.{near}")
        return self


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of suite files."""
    schema = Suite.model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
