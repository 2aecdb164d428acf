"""Help pages and parse errors of all commands: groups, placeholders, defaults, examples."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator
from typing import Any, TypeAlias

import typer
from pydantic import ValidationError
from typer.core import TyperCommand, TyperGroup

from attnbench.errors import RequestError

Parameter: TypeAlias = Any
"""Options and arguments; typer exports no type of theirs, nor of contexts and formatters."""


class HelpfulCommand(TyperCommand):
    """A command whose page ends with examples, and whose parse errors name the value."""

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """Return ``[OPTIONS]`` and the arguments as they are written."""
        return [self.options_metavar or "", *_words(_arguments(self.get_params(ctx)))]

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write arguments and options, each with its placeholder and its default."""
        params: list[Parameter] = self.get_params(ctx)
        arguments = _arguments(params)
        options = [param for param in params if param not in arguments]
        for heading, shown in (("Arguments", arguments), ("Options", options)):
            if shown:
                with formatter.section(heading):
                    formatter.write_dl([(_signature(param), _details(param)) for param in shown])

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        """Write the examples, one a line, never wrapped: they are there to be copied."""
        _write_examples(self.epilog, formatter)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the words of a command.

        Raises:
            RequestError: a value is missing or malformed.
        """
        try:
            return super().parse_args(ctx, list(args))
        except typer.BadParameter as error:
            if error.param is None:
                raise
            raise RequestError(self._problem(ctx, error, args)) from error

    def _problem(self, ctx: Any, error: typer.BadParameter, args: list[str]) -> str:
        param: Parameter = error.param
        if isinstance(error.__cause__, ValidationError):
            given = error.__cause__.errors()[0]["input"]
            return f"{_words([param])[0]} must be {_kind(param)}: got {given!r}"
        arguments = _arguments(self.get_params(ctx))
        if param in arguments or not args:
            needed = " ".join(_words(arguments if param in arguments else [param]))
            example = (self.epilog or "").partition("\nattnbench ")[0]
            return f"{ctx.info_name} needs {needed}: got none. For example: {example}"
        missing = f"{_words([param])[0]} {param.metavar}"
        written = f"attnbench {ctx.info_name} {shlex.join(args)} {missing}"
        return f"{ctx.info_name} needs {missing}: got none. Write: {written}"


class HelpfulGroup(TyperGroup):
    """A program whose page lists its commands by what they are for."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the commands by group, then the options."""
        groups: dict[str, list[tuple[str, str]]] = {}
        for name, command in self.commands.items():
            group = getattr(command, "rich_help_panel", None) or "Commands"
            groups.setdefault(group, []).append((name, command.get_short_help_str(formatter.width)))
        longest = max(map(len, self.commands))
        for group, rows in groups.items():
            with formatter.section(group):
                formatter.write_dl([(name.ljust(longest), text) for name, text in rows])
        with formatter.section("Options"):
            formatter.write_dl(
                [(_signature(param), _details(param)) for param in self.get_params(ctx)]
            )

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        """Write the examples."""
        _write_examples(self.epilog, formatter)


def _write_examples(epilog: str | None, formatter: Any) -> None:
    if epilog:
        with formatter.section("Examples"):
            formatter.write("".join(f"  {line}\n" for line in epilog.splitlines()))


def _arguments(params: Iterable[Parameter]) -> list[Parameter]:
    return [param for param in params if param.param_type_name == "argument"]


def _words(params: Iterable[Parameter]) -> list[str]:
    """Return arguments as they are written, and options by their longest name."""
    return [
        (param.metavar or param.name.upper())
        if param.param_type_name == "argument"
        else max(param.opts, key=len)
        for param in params
    ]


def _signature(param: Parameter) -> str:
    """Return ``-b, --backbone SPEC``, ``--check / --no-check`` or ``RUN ...``."""
    if param.param_type_name == "argument":
        return _words([param])[0]
    names = ", ".join(sorted(param.opts, key=len))
    if param.secondary_opts:
        return f"{names} / {', '.join(param.secondary_opts)}"
    return names if param.is_flag else f"{names} {param.metavar}"


def _details(param: Parameter) -> str:
    """Return the sentence on a parameter, with its default or ``[required]``."""
    return f"{param.help or ''}{''.join(f'  [{note}]' for note in _notes(param))}"


def _notes(param: Parameter) -> Iterator[str]:
    if param.required:
        yield "required"
    elif isinstance(param.show_default, str):
        yield f"default: {param.show_default}"
    elif getattr(param, "is_flag", False):
        if param.secondary_opts and param.default:
            yield f"default: {param.opts[0]}"
    elif isinstance(param.default, float):
        yield f"default: {param.default:g}"
    elif isinstance(param.default, str | int):
        yield f"default: {param.default}"


def _kind(param: Parameter) -> str:
    """Return the kind of value that a parameter takes: ``a whole number of at least 1``."""
    kind = "a whole number" if param.type_descriptor.annotation is int else "a number"
    return kind if param.min is None else f"{kind} of at least {param.min}"
