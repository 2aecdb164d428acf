"""Contract check: construction from the channels alone, independent instances, map to map."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any

import torch
from torch import Tensor, nn

from attnbench.conformance.copies import class_tensors, held_tensors
from attnbench.conformance.findings import Finding, failure, join_names, note
from attnbench.conformance.import_changes import find_import_changes
from attnbench.conformance.module_under_test import (
    SIZES,
    WIDTHS,
    Size,
    Subject,
    equal_values,
    join_shape,
    run,
)
from attnbench.errors import PluginError
from attnbench.utils.process_settings import (
    find_changes,
    preserve_settings,
    read_settings,
    setting_changes,
)
from attnbench.utils.text import describe


def contract(subject: Subject) -> Iterator[Finding]:
    """Build and run the module, and check for side effects.

    If it cannot be built and run, or commands refuse it after its first run, the values of the
    finding contain ``fatal``, and no other check is possible.
    """
    yield from find_import_changes(subject.attention)
    with preserve_settings() as before:
        try:
            _ = subject.appearing  # finds and caches the first width and size that work, too
        except PluginError as error:
            yield failure(str(error), "Correct the constraint on the card.", fatal=True)
            return
        disturbed = find_changes(before, read_settings())
    with preserve_settings() as before:
        fatal = _fatal(subject) or _refused(subject)
        disturbed |= find_changes(before, read_settings())
    known = setting_changes(str(subject.attention.spec))  # by its constructor
    for name, old, new in [
        *((change.setting, change.old, change.new) for change in known),
        *((name, old, new) for name, (old, new) in disturbed.items()),
    ]:
        yield failure(
            f"building or running it changes {name} of the whole process from {old} to {new}",
            "Leave global settings alone: pass dtype and device on, use a context manager inside.",
        )
    if fatal:
        yield fatal
        return
    yield from _appearing(subject)
    yield from _shared(subject)
    yield from _seeded(subject)
    yield from _uninitialized(subject)


def _fatal(subject: Subject) -> Finding | None:
    """Return the finding if the module cannot be built and run, or returns no map; else None."""
    place = _first_allowed(subject)
    if place is None:
        return failure(
            f"the card's constraints forbid all {len(WIDTHS) * len(SIZES)} places tried, the first "
            f"one because: {subject.refusal(subject.channels, subject.size)}",
            "Take widths of MobileNets in, such as 32 or 64 channels.",
            fatal=True,
        )
    channels, size = place
    where = f"{channels} channels at {join_shape(size)}"
    try:
        module = subject.build(channels, size, moved=False).eval()
    except Exception as error:
        return failure(
            f"it cannot be built for {where}: {describe(error.__cause__ or error)}",
            "Let the constructor take the number of channels by position and defaults for the "
            "rest.",
            fatal=True,
        )
    try:
        # not within no_grad(), which would restore the grad mode that forward sets
        y = module(subject.maps(2, channels, size))
    except Exception as error:
        return failure(
            f"it cannot be run on {where}: {describe(error)}",
            "Let forward take one (B, C, H, W) tensor and nothing else.",
            fatal=True,
        )
    if isinstance(y, Tensor):
        return None
    kind = "None" if y is None else f"a {type(y).__name__}"
    if isinstance(y, tuple | list):
        kind += f" of {len(y)} ({', '.join(type(value).__name__ for value in y)})"
    return failure(
        f"forward returns {kind} instead of one tensor",
        "Return the map alone; keep attention weights for a method of their own.",
        fatal=True,
    )


def _refused(subject: Subject) -> Finding | None:
    """Return the violation that the first run shows, in the words of all commands."""
    violation = subject.first_run and subject.first_run.problem
    if not violation:
        return None
    return failure(f"it {violation.problem}", f"{violation.remedy}.".lstrip("."), fatal=True)


def _first_allowed(subject: Subject) -> tuple[int, Size] | None:
    places = ((subject.channels, subject.size), *product(WIDTHS, SIZES))
    return next((place for place in places if subject.refusal(*place) is None), None)


def _appearing(subject: Subject) -> Iterator[Finding]:
    if subject.appearing:
        yield note(
            f"the first forward pass creates, or gives a size to, {join_names(subject.appearing)}: "
            "attnbench runs the module once when it builds it",
            "Create them in __init__: an optimizer or a state dict made before a pass lacks them.",
        )


def _shared(subject: Subject) -> Iterator[Finding]:
    first, second = (_used(subject) for _ in range(2))
    if first is second:
        yield failure(
            "two calls of the factory return the same instance", "Build a new module in each call."
        )
        return
    paths = {id(part): path for path, part in first.named_modules()}
    common = [part for part in second.modules() if id(part) in paths]
    layers = [paths[id(part)] or "the module itself" for part in common]
    memory = {_memory(tensor) for tensor in held_tensors(first).values()} - {0}
    tensors = [name for name, tensor in held_tensors(second).items() if _memory(tensor) in memory]
    names = layers or tensors or list(class_tensors(first))
    if names:
        yield failure(
            f"instances share {join_names(names)}: what one learns or loads, all do",
            "Create layers, parameters and buffers in __init__; nothing of the kind on the class "
            "or in a cache.",
        )


def _memory(tensor: Tensor) -> int:
    return tensor.data_ptr() if tensor.numel() else 0


def _used(subject: Subject) -> nn.Module:
    module = subject.build(moved=False).eval()
    run(module, subject.maps())
    return module


def _seeded(subject: Subject) -> Iterator[Finding]:
    first, second = (held_tensors(subject.build(moved=False)) for _ in range(2))
    differing = [
        name
        for name, tensor in first.items()
        if name not in second or not equal_values(tensor.detach(), second[name].detach())
    ]
    if differing:
        yield failure(
            f"the same seed gives other weights in {join_names(differing)}",
            "Draw from torch's generator, not from Python's or NumPy's, and leave no torch.empty.",
        )


def _uninitialized(subject: Subject) -> Iterator[Finding]:
    """Report uninitialized tensors: the module is built with fresh memory filled with NaN."""
    deterministic: Any = torch.utils.deterministic
    filled = deterministic.fill_uninitialized_memory
    with preserve_settings():
        torch.use_deterministic_algorithms(True, warn_only=True)
        deterministic.fill_uninitialized_memory = True
        try:
            module = subject.build(moved=False)
        finally:
            deterministic.fill_uninitialized_memory = filled
    floating = {
        k: tensor for k, tensor in held_tensors(module).items() if tensor.is_floating_point()
    }
    names = [name for name, tensor in floating.items() if bool(tensor.detach().isnan().any())]
    if names:
        yield failure(
            f"{join_names(names)} holds memory that was never set, whatever lay there before",
            "Initialise what torch.empty gives, or use torch.zeros or nn.init.",
        )
