"""``attnbench doctor``: timing hazards of this machine and its noise floor."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from attnbench.cli.options import Json, PlainFormat, chosen_format
from attnbench.cli.output import console, log, print_json, stdout_to_stderr, writing

if TYPE_CHECKING:
    from attnbench.doctor.host import SystemFinding
    from attnbench.doctor.noise_floor import NoiseFloor

_ORDER = ("warning", "note", "ok")


EXAMPLES = (
    "attnbench doctor",
    "attnbench doctor --budget 0 --strict",
)


def command(
    budget: Annotated[
        float,
        typer.Option(
            metavar="SECONDS", min=0, help="To time a model against its copy; 0 skips it."
        ),
    ] = 5.0,
    strict: Annotated[bool, typer.Option("--strict", help="Exit with 1 on a warning.")] = False,
    format: PlainFormat = None,
    json: Json = False,
) -> None:
    """Report what disturbs timing on this machine.

    Each finding with its remedy, and the noise floor: a model timed against its copy.
    """
    from attnbench.doctor.diagnose import examine
    from attnbench.doctor.host import this_host
    from attnbench.system.cpu import isa
    from attnbench.system.provenance import machine

    chosen = chosen_format(format, json, ("text", "json"))
    with stdout_to_stderr():
        findings, facts = examine(this_host()), {**machine(), "isa": isa()}
        floor = _floor(budget)
    if chosen == "json":
        print_json(
            {
                "machine": facts,
                "findings": [asdict(finding) for finding in findings],
                "floor": floor.to_dict() if floor else None,
            }
        )
    else:
        with writing():
            _print(facts, findings, floor)
    if strict and any(finding.level == "warning" for finding in findings):
        raise typer.Exit(1)


def _floor(budget: float) -> NoiseFloor | None:
    if not budget:
        return None
    from attnbench.doctor.noise_floor import MODEL, measure_floor

    log(f"attnbench: timing {MODEL} against its copy, {budget:g} s")
    return measure_floor(budget)


def _print(facts: dict[str, Any], findings: list[SystemFinding], floor: NoiseFloor | None) -> None:
    from rich.table import Table

    from attnbench.reports.terminal import plain_text
    from attnbench.reports.terminal_table import Trimmed, print_wrapped
    from attnbench.reports.verdict_words import verdict_text

    table = Table.grid(padding=(0, 2))
    for finding in sorted(findings, key=lambda finding: _ORDER.index(finding.level)):
        level = verdict_text(finding.level, marked=False)
        table.add_row(level, plain_text(finding.name), plain_text(_details(finding)))
    out = console()
    machine = f"{facts['processor']}, {facts['isa']}, {facts['cores']} cores, {facts['system']}"
    print_wrapped(plain_text(machine), out)
    out.print()
    out.print(Trimmed(table))
    if floor:
        out.print()
        found = (
            f"A/A floor: {floor.model} against its copy, ratio {floor.ratio:.4f} "
            f"[{floor.low:.4f}, {floor.high:.4f}], {floor.pairs} pairs, "
            f"{floor.median_ms:.1f} ms each; {floor.verdict}"
        )
        print_wrapped(plain_text(found), out)


def _details(finding: SystemFinding) -> str:
    lines = [finding.value]
    if finding.why:
        lines.append(f"why: {finding.why}")
    if finding.remedy:
        lines.append(f"do: {finding.remedy}")
    return "\n".join(lines)
