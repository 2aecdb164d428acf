"""Signatures of module factories: the parameter that receives the width, and the options.

A factory is written for the width of its maps in one of many ways: ``Class(channels)``,
``Class(dim=512)``, ``Class(c1, c2)``, or ``Class(kernel_size=7)``, which has none. The first
parameter is judged by its annotation, its default and the words of its name. Imports no torch.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import NoneType
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin

from attnbench.registry.specs import Width

if TYPE_CHECKING:
    from torch import nn

ModuleFactory = Callable[..., "nn.Module"]
"""``factory(channels, **options) -> nn.Module``: a class or a function."""

_EMPTY = inspect.Parameter.empty
_NAMED = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
_WIDTH = re.compile(
    "c|cc|cin|cout|in?channels?|ch|chn?s?|chans?|channels?|nc|nf|nin|n?dims?|(in|out)?planes?"
    "|n?feats?|features?|n?filters?|embed|embedding|inp|oup|inc|ouc|outc|width|model"
)
"""Words in the names of parameters that receive a number of channels."""
_NEVER = re.compile(
    "reduction|ratio|kernel|ks|heads?|groups?|dilation|stride|padding|window|patch|dropout|eps"
    "|momentum|bias"
)
"""Words in the names of parameters that receive something else, whatever else their names say."""
_OTHER = re.compile(
    f"{_NEVER.pattern}|size|reduce|rate|per|splits?|factor|scale|expansion|expand|drop|epsilon"
    "|resolution|height|h|w|axis|shuffle|levels?|layers?|depth|iterations|steps?|rank|seed|spatial"
    "|lambda|gamma|beta|temperature|bits|k|r|p|b|g|s"
)
"""Words in the names of parameters whose default shows that they receive something else."""
_MOST_DIMENSIONS = 3
"""Largest default of a ``dim`` that may be an axis."""
_NO_NUMBERS: Any = (bool, str, float, complex, NoneType, Iterable, Callable)


@dataclass(frozen=True)
class Signature:
    """Parameters of a factory."""

    options: Mapping[str, inspect.Parameter]
    """Parameters besides the width; an option without a default is required."""
    takes_feature_size: bool
    takes_any: bool
    """Presence of ``**kwargs``: unknown options are passed on."""
    width: inspect.Parameter | None
    """The parameter that receives the width; None for a factory without one."""
    doubtful: str = ""
    """Name of an option that may be the width as well: its value must be given."""

    def required_options(self) -> list[str]:
        """Return the names of options without a default."""
        return [name for name, option in self.options.items() if option.default is _EMPTY]

    def bind(self, channels: int, options: Mapping[str, Any]) -> tuple[list[int], dict[str, Any]]:
        """Return the arguments by position and by name; an option takes the place of the width."""
        named = {name: resolve_width(value, channels) for name, value in options.items()}
        if self.width is None or self.width.name in options:
            return [], named
        if self.width.kind is inspect.Parameter.KEYWORD_ONLY:
            return [], {self.width.name: channels, **named}
        is_unknown = self.width.kind is inspect.Parameter.VAR_POSITIONAL
        return [] if is_unknown and Width.CHANNELS in options.values() else [channels], named


def signature_of(factory: ModuleFactory) -> Signature:
    """Read the width and the options of a factory.

    Raises:
        ValueError: the signature cannot be read, or an argument cannot be given by name.
    """
    parameters = _parameters(factory)
    width = _find_width(parameters)
    first = next(iter(parameters), None)
    is_first = width is first
    rest = [parameter for parameter in parameters if width is None or parameter.name != width.name]
    for parameter in rest:
        if parameter.kind is parameter.POSITIONAL_ONLY and parameter.default is _EMPTY:
            raise ValueError(f"argument {parameter.name!r} cannot be given by name, as options are")
    if width is not None and not is_first:
        width = width.replace(kind=inspect.Parameter.KEYWORD_ONLY)  # passed by name
    named = {parameter.name: parameter for parameter in rest if parameter.kind in _NAMED}
    takes_feature_size = named.pop("feature_size", None) is not None
    takes_any = any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters)
    doubtful = first.name if first and width is None and first.name in named else ""
    is_clear = not doubtful or _is_width(named[doubtful]) is False
    return Signature(named, takes_feature_size, takes_any, width, "" if is_clear else doubtful)


def is_width_name(name: str) -> bool:
    """Return whether a name is one of those that people give to a number of channels."""
    return _has(name, _WIDTH) and not _has(name, _OTHER)


def _parameters(factory: ModuleFactory) -> list[inspect.Parameter]:
    torch = sys.modules.get("torch")
    if torch is not None and getattr(factory, "__init__", None) is torch.nn.Module.__init__:
        return []  # the signature of nn.Module takes anything, its constructor nothing
    try:
        return list(inspect.signature(factory, eval_str=True).parameters.values())
    except Exception:
        # only a type checker can resolve the annotations: the types of options are not validated
        return list(inspect.signature(factory).parameters.values())


def _find_width(parameters: Sequence[inspect.Parameter]) -> inspect.Parameter | None:
    """Return the parameter for the width, None if there is none or the first is doubtful."""
    if not parameters or parameters[0].kind is inspect.Parameter.VAR_KEYWORD:
        return None
    first, *others = parameters
    if first.kind is inspect.Parameter.VAR_POSITIONAL:
        return next(_named_widths(others, required=True), first)
    if first.kind is inspect.Parameter.KEYWORD_ONLY:
        return next(_named_widths(parameters), None)
    judged = _is_width(first)
    if judged and (is_width_name(first.name) or first.default is not _EMPTY):
        return first
    named = next(_named_widths(others, required=True), None)
    return named or (first if judged else None)


def _named_widths(
    parameters: Iterable[inspect.Parameter], *, required: bool = False
) -> Iterator[inspect.Parameter]:
    """Yield the parameters that have a width's name, and no other type."""
    for parameter in parameters:
        is_open = parameter.default is _EMPTY or not required
        is_named = parameter.kind in _NAMED and is_width_name(parameter.name)
        if is_open and is_named and _is_width(parameter):
            yield parameter


def _is_width(parameter: inspect.Parameter) -> bool | None:
    """Return whether a first parameter is the width, None if that is unclear."""
    if parameter.name == "feature_size" or _is_no_number(parameter.annotation):
        return False
    name, default = parameter.name, parameter.default
    if default is _EMPTY:
        return not _has(name, _NEVER)
    if default is None:
        return is_width_name(name)
    if type(default) is not int:
        return False
    if is_width_name(name):
        return True if default > _MOST_DIMENSIONS or name not in ("dim", "dims") else None
    return False if _is_other(name) else None


def _is_other(name: str) -> bool:
    return _has(name, _OTHER) and not re.search("(in|input|hidden)_?size", name)


def _is_no_number(annotation: Any) -> bool:
    """Return whether an annotation excludes whole numbers."""
    if isinstance(annotation, str):
        return annotation in {"bool", "str", "float"}
    origin, members = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return not any(type(choice) is int for choice in members)
    if isinstance(origin, type) and issubclass(origin, _NO_NUMBERS):
        return True
    if members:
        return all(map(_is_no_number, members))
    is_class = isinstance(annotation, type) and annotation is not _EMPTY
    return is_class and issubclass(annotation, _NO_NUMBERS)


def _has(name: str, kind: re.Pattern[str]) -> bool:
    """Return whether a word of a name is of a kind: ``in`` or ``ch`` of ``inCh1``."""
    words = re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower().split("_")
    return any(kind.fullmatch(word.rstrip("0123456789")) for word in words)


def resolve_width(value: Any, channels: int) -> Any:
    """Return a value, or a list of values, with the word ``channels`` replaced by the width."""
    if type(value) in (list, tuple):
        return type(value)(resolve_width(item, channels) for item in value)
    return channels if value is Width.CHANNELS else value


def has_width(value: Any) -> bool:
    """Return whether a value, or an item of a list of values, is the word ``channels``."""
    return any(map(has_width, value)) if type(value) in (list, tuple) else value is Width.CHANNELS
