"""Copy checks: state dict, pickle and deepcopy give equal instances that share no tensor."""

from __future__ import annotations

import copy
import io
import pickle
from collections.abc import Iterator, Mapping
from contextlib import suppress
from itertools import permutations

import torch
from torch import Tensor, nn

from attnbench.conformance.findings import Finding, failure
from attnbench.conformance.module_under_test import Subject, check_output, equal_values, run
from attnbench.runtimes.torch_export import root_cause

_SAME = 1e-6


def state_dict(subject: Subject) -> Iterator[Finding]:
    """Load the state dict of a module after training passes into an instance of another seed."""
    module, fresh = _trained(subject), subject.build(moved=False, seed=7)
    names = _difference(subject.build(moved=False), fresh)
    if names:
        yield failure(
            f"two instances have different state dicts: {names}",
            "Name and size every parameter and buffer by the constructor's arguments alone.",
        )
        return
    try:
        file = io.BytesIO()
        torch.save(module.state_dict(), file)
        file.seek(0)
        fresh.load_state_dict(torch.load(file, weights_only=True), strict=True)
    except Exception as error:
        yield failure(
            f"its state dict cannot be loaded into a fresh instance: {root_cause(error)}",
            "Make every layer in the constructor, and keep only tensors and plain values in it.",
        )
        return
    x = subject.maps()
    yield from check_output(
        _output(fresh, x),
        _output(module, x),
        _SAME,
        "a fresh instance with its state dict gives another output,",
        "Register what the output depends on as a parameter or a persistent buffer: random "
        "choices of the constructor, running averages.",
    )


def pickling(subject: Subject) -> Iterator[Finding]:
    """Compare the unpickled module with the original, fresh and after training passes."""
    for when, module in (("fresh", subject.build()), ("after training", _trained(subject))):
        try:
            again = pickle.loads(pickle.dumps(module))
        except Exception as error:
            yield failure(
                f"{when} it cannot be pickled: {root_cause(error)}",
                "Define classes and functions at the top of a file, and keep no lambda, open file "
                "or lock as an attribute.",
            )
            return
        yield from _compared(f"{when}, read back from a pickle", again, module, subject.maps())


def deepcopy(subject: Subject) -> Iterator[Finding]:
    """Copy the module during training; then change the copy, and the original."""
    module = _trained(subject)
    try:
        copied = copy.deepcopy(module)
    except Exception as error:
        yield failure(
            f"in the middle of training it cannot be copied: {root_cause(error)}",
            "Keep no result of forward as an attribute, or detach it.",
        )
        return
    yield from _compared("a deep copy", copied, module, subject.maps())
    own = set(_addresses(copied).values())
    shared = next((name for name, address in _addresses(module).items() if address in own), "")
    if shared:
        yield failure(
            f"a deep copy shares the memory of {shared} with the original",
            "Leave __deepcopy__ to nn.Module, and keep tensors on the instance, not on the class.",
        )
        return
    yield from _independent(module, copied, subject.maps())


def _independent(module: nn.Module, copied: nn.Module, x: Tensor) -> Iterator[Finding]:
    both = (("the copy", copied), ("the original", module))
    for (changed_name, changed), (other_name, other) in permutations(both):
        before = _output(other, x)
        _change(changed)
        if not equal_values(_output(other, x), before):
            yield failure(
                f"changing the weights of {changed_name} changes the output of {other_name}",
                "Reach layers by self in forward: a lambda or partial made in the constructor "
                "holds on to the instance it was made in.",
            )
            return


def _trained(subject: Subject) -> nn.Module:
    """Return an instance during training: after forward passes, before backward."""
    module = subject.build().train()
    with suppress(Exception):  # the other checks report it
        for seed in (1, 2):
            module(subject.maps(seed=seed).requires_grad_())
    return module


def _difference(module: nn.Module, other: nn.Module) -> str:
    """Return the first difference of two state dicts in names or shapes; empty if none."""
    first, second = _shapes(module), _shapes(other)
    for name in sorted(first.keys() ^ second.keys()):
        return f"only one has {name}"
    for name, shape in first.items():
        if shape != second[name]:
            return f"{name} is {shape} in one and {second[name]} in the other"
    return ""


def _shapes(module: nn.Module) -> dict[str, tuple[int, ...] | None]:
    return {
        name: tuple(value.shape) if isinstance(value, Tensor) else None
        for name, value in module.state_dict().items()
    }


def _compared(what: str, found: nn.Module, wanted: nn.Module, x: Tensor) -> Iterator[Finding]:
    yield from check_output(
        _output(found, x),
        _output(wanted, x),
        _SAME,
        f"{what}, it gives another output,",
        "Keep all state in attributes that are copied with the instance.",
    )


def _output(module: nn.Module, x: Tensor) -> Tensor:
    """Return the output in eval mode; restore the mode of the module."""
    training = module.training
    torch.manual_seed(0)
    y = run(module.eval(), x.clone())
    module.train(training)
    return y.clone()


@torch.no_grad()
def _change(module: nn.Module) -> None:
    for tensor in (*module.parameters(), *module.buffers()):
        if tensor.is_floating_point():
            tensor.add_(torch.rand_like(tensor) + 0.5)


def _addresses(module: nn.Module) -> dict[str, int]:
    """Return the storage address of every non-empty tensor, by name."""
    return {
        name: tensor.untyped_storage().data_ptr()
        for name, tensor in held_tensors(module).items()
        if tensor.numel() and tensor.device.type != "meta"
    }


def held_tensors(module: nn.Module, _seen: frozenset[int] = frozenset()) -> dict[str, Tensor]:
    """Return all tensors of an instance by name: parameters, buffers and plain attributes."""
    if id(module) in _seen:  # a layer may hold a reference to its owner in a list
        return {}
    seen = _seen | {id(part) for part in module.modules()}
    found: dict[str, Tensor] = {}
    for path, part in module.named_modules():
        start = f"{path}." if path else ""
        own = {name: value for name, value in vars(part).items() if not _is_internal(name)}
        for holder in (part._parameters, part._buffers, own):
            for name, value in holder.items():
                found.update(_tensors_in(value, start + name, seen))
    return found


def class_tensors(module: nn.Module) -> dict[str, object]:
    """Return the tensors and layers among the class attributes of a module's parts, by name."""
    found: dict[str, object] = {}
    for kind in {type(part) for part in module.modules()}:
        for base in kind.__mro__:
            if base.__module__.partition(".")[0] not in ("torch", "torchvision", "builtins"):
                for name, value in vars(base).items():
                    found.update(_things_in(value, f"{base.__name__}.{name}"))
    return found


def _is_internal(name: str) -> bool:
    return name in ("_parameters", "_buffers", "_modules") or name.endswith("_hooks")


def _tensors_in(value: object, name: str, seen: frozenset[int]) -> Iterator[tuple[str, Tensor]]:
    for inner, thing in _things_in(value, name):
        if isinstance(thing, Tensor):
            yield inner, thing
        elif isinstance(thing, nn.Module):
            yield from (
                (f"{inner}.{key}", tensor) for key, tensor in held_tensors(thing, seen).items()
            )


def _things_in(value: object, name: str) -> Iterator[tuple[str, object]]:
    """Yield tensors and layers of a value, or of a list, tuple or mapping of them, by name."""
    if isinstance(value, Tensor | nn.Module):
        yield name, value
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield from _things_in(item, f"{name}[{index}]")
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _things_in(item, f"{name}[{key!r}]")
