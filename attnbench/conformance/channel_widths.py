"""Width check: channel numbers of MobileNets are supported, or declared as unsupported."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch

from attnbench.conformance.findings import Finding, broken, fine, listed, note
from attnbench.conformance.module_under_test import Subject
from attnbench.errors import AttnbenchError
from attnbench.utils.text import describe

# fmt: off
MOBILENET_WIDTHS = (
    8, 16, 24, 32, 40, 48, 56, 64, 72, 80, 88, 96, 112, 120, 128, 136, 144, 160, 184, 192, 200,
    224, 240, 256, 288, 320, 336, 384, 432, 448, 480, 512, 528, 576, 672, 720, 768, 816, 960,
    1024, 1280, 1344, 1792,
)
# fmt: on
"""Channel numbers in MobileNetV1 (width 1, 0.75, 0.5, 0.25), V2 (1, 0.75, 0.5, 0.35, 1.4) and V3
(small, large), after and within blocks. A test computes them from the networks."""
_REFUSALS = (ValueError, AssertionError)
"""Exceptions by which a constructor rejects a width; any other exception is a defect."""
_HOW = "Constraint('channels must be a multiple of 16', lambda channels, **_: channels % 16 == 0)"


def widths(subject: Subject) -> Iterator[Finding]:
    """Build the module and run it in eval on a small map at every width that its card allows."""
    forbidden: list[int] = []
    problems: list[_Problem] = []
    for channels in MOBILENET_WIDTHS:
        if subject.refusal(channels, subject.size) is not None:
            forbidden.append(channels)
        elif (problem := _problem(subject, channels)) is not None:
            problems.append(problem)
    refused = [problem for problem in problems if problem.refusal]
    failed = [problem for problem in problems if not problem.refusal]
    yield from _refused(subject, refused)
    yield from _failed(failed)
    if failed or (refused and subject.card):
        return
    declared = f"{len(forbidden)} of {len(MOBILENET_WIDTHS)} forbidden by its card: "
    yield fine(
        declared + listed(forbidden) if forbidden else "",
        forbidden=forbidden,
        tried=len(MOBILENET_WIDTHS) - len(forbidden),
    )


@dataclass(frozen=True)
class _Problem:
    """Width at which the module fails."""

    channels: int
    text: str
    refusal: bool
    """Whether the constructor rejects the width, instead of failing by a defect."""


def _problem(subject: Subject, channels: int) -> _Problem | None:
    try:
        module = subject.build(channels, moved=False).eval()
    except AttnbenchError as error:
        cause = error.__cause__ or error
        text = f"the constructor raises {describe(cause)}"
        return _Problem(channels, text, isinstance(cause, _REFUSALS))
    x = subject.maps(2, channels)
    try:
        with torch.no_grad():
            y = module(x)
    except Exception as error:
        return _Problem(channels, f"forward raises {describe(error)}", False)
    if y.shape != x.shape:
        return _Problem(channels, f"{tuple(x.shape)} becomes {tuple(y.shape)}", False)
    return None


def _refused(subject: Subject, problems: list[_Problem]) -> Iterator[Finding]:
    if not problems:
        return
    found = note if subject.card is None else broken
    numbers = [problem.channels for problem in problems]
    yield found(
        f"{len(numbers)} of {len(MOBILENET_WIDTHS)} widths are refused and no constraint of a card "
        f"says so: {listed(numbers)}; {problems[0].text}",
        f"Declare it on the card, for instance {_HOW}.",
        refused=numbers,
    )


def _failed(problems: list[_Problem]) -> Iterator[Finding]:
    if not problems:
        return
    numbers = [problem.channels for problem in problems]
    yield broken(
        f"{len(numbers)} of {len(MOBILENET_WIDTHS)} widths do not work: {listed(numbers)}; "
        f"{problems[0].text}",
        f"Make them work (a squeeze of at least 1 channel), or declare {_HOW}.",
        failed=numbers,
    )
