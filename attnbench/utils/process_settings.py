"""Settings of the process that plugins and modules may change: restored, and the changes kept.

Libraries are looked up among the imported modules and never imported here. Where a plugin is the
first to import torch, its settings are read as soon as that import ends.
"""

from __future__ import annotations

import pickle
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from operator import attrgetter
from types import ModuleType
from typing import Any

CONSTRUCTOR, FORWARD = "in its constructor", "in its forward pass"
"""Places of a module where it may change settings."""
_TINY = 5e-324


@dataclass(frozen=True)
class _Setting:
    """A setting of an imported library: how it is read, and how a value is set."""

    library: str
    read: Callable[[Any], Any]
    write: Callable[[Any, Any], object]


@dataclass(frozen=True)
class SettingChange:
    """A setting that a plugin or a module has changed, and that was restored."""

    key: str
    """Plugin or module: the path of a file, the origin of a package, the spec of a module."""
    by_plugin: bool
    setting: str
    old: str
    """Value before; empty for the state of a generator."""
    new: str
    text: str
    """Whole change in one sentence."""


def _torch(read: Callable[[Any], Any], write: Callable[[Any, Any], object]) -> _Setting:
    return _Setting("torch", read, write)


def _flag(path: str) -> _Setting:
    place, _, name = path.rpartition(".")
    return _torch(attrgetter(path), lambda torch, to: setattr(attrgetter(place)(torch), name, to))


def _tf32(legacy: _Setting, newer: str) -> _Setting:
    """Return a setting that is read by its newer name where torch refuses to read the older one."""

    def read(torch: Any) -> Any:
        with suppress(RuntimeError):
            return legacy.read(torch)
        return attrgetter(newer)(torch)

    return _torch(read, legacy.write)


def _autocast(device: str) -> _Setting:
    return _torch(
        lambda torch: torch.is_autocast_enabled(device),
        lambda torch, to: torch.set_autocast_enabled(device, to),
    )


def _default_device(torch: Any) -> Any:
    # torch.get_default_device() also returns that of a context manager around the caller
    context = getattr(torch._GLOBAL_DEVICE_CONTEXT, "device_context", None)
    return context.device if context is not None else torch.device("cpu")


def _deterministic(torch: Any) -> tuple[bool, bool]:
    return (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
    )


_SETTINGS: Mapping[str, _Setting] = {
    "the default dtype": _torch(
        lambda torch: torch.get_default_dtype(),
        lambda torch, to: torch.set_default_dtype(to),
    ),
    "the default device": _torch(
        _default_device,
        # None instead of the CPU: a default device, once set, intercepts every call
        lambda torch, to: torch.set_default_device(None if to.type == "cpu" else to),
    ),
    "the grad mode": _torch(
        lambda torch: torch.is_grad_enabled(),
        lambda torch, to: torch.set_grad_enabled(to),
    ),
    "the number of threads": _torch(
        lambda torch: torch.get_num_threads(),
        lambda torch, to: torch.set_num_threads(to),
    ),
    "the number of inter-op threads": _torch(
        lambda torch: torch.get_num_interop_threads(),
        lambda torch, to: torch.set_num_interop_threads(to),
    ),
    "the precision of float32 products": _tf32(
        _torch(
            lambda torch: torch.get_float32_matmul_precision(),
            lambda torch, to: torch.set_float32_matmul_precision(to),
        ),
        "backends.cuda.matmul.fp32_precision",
    ),
    "the anomaly mode": _torch(
        lambda torch: torch.is_anomaly_enabled(),
        lambda torch, to: torch.autograd.set_detect_anomaly(to),
    ),
    "the deterministic mode": _torch(
        _deterministic,
        lambda torch, to: torch.use_deterministic_algorithms(to[0], warn_only=to[1]),
    ),
    "the flushing of denormal numbers": _torch(
        lambda torch: _TINY * 1.0 == 0,
        lambda torch, to: torch.set_flush_denormal(to),
    ),
    "the autocast of the CPU": _autocast("cpu"),
    "the autocast of CUDA": _autocast("cuda"),
    "torch.backends.cudnn.enabled": _flag("backends.cudnn.enabled"),
    "torch.backends.cudnn.benchmark": _flag("backends.cudnn.benchmark"),
    "torch.backends.cudnn.deterministic": _flag("backends.cudnn.deterministic"),
    "torch.backends.cudnn.allow_tf32": _tf32(
        _flag("backends.cudnn.allow_tf32"), "backends.cudnn.conv.fp32_precision"
    ),
    "torch.backends.fp32_precision": _flag("backends.fp32_precision"),
    "torch.backends.mkldnn.enabled": _flag("backends.mkldnn.enabled"),
}


class _Seed(int):
    """A seed with the state of its generator; equal to the same seed in any other state."""

    state: Any


def _seed(torch: Any) -> _Seed:
    seed = _Seed(torch.initial_seed())
    seed.state = torch.get_rng_state()
    return seed


_SEED: Mapping[str, _Setting] = {
    "the seed of torch's random numbers": _torch(
        _seed, lambda torch, to: torch.set_rng_state(to.state)
    )
}
"""Changed by seeding the generator alone, unlike its state, which every draw changes."""
_STATES: Mapping[str, _Setting] = {
    "the state of torch's random numbers": _torch(
        lambda torch: bytes(torch.get_rng_state().tolist()),
        lambda torch, to: torch.set_rng_state(torch.tensor(list(to), dtype=torch.uint8)),
    ),
    "the state of NumPy's random numbers": _Setting(
        "numpy.random",
        lambda random: pickle.dumps(random.get_state()),
        lambda random, to: random.set_state(pickle.loads(to)),
    ),
    "the state of Python's random numbers": _Setting(
        "random",
        lambda random: pickle.dumps(random.getstate()),
        lambda random, to: random.setstate(pickle.loads(to)),
    ),
}
_ALL = {**_SETTINGS, **_SEED, **_STATES}
_CHANGES: dict[SettingChange, None] = {}


def read_settings(names: Sequence[str] = tuple(_SETTINGS)) -> dict[str, Any]:
    """Return the settings of the imported libraries by name."""
    return {
        name: _ALL[name].read(sys.modules[_ALL[name].library])
        for name in names
        if _is_imported(_ALL[name].library)
    }


def find_changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Return the differences of two results of :func:`read_settings`: (before, after) by name."""
    return {
        name: (old, after[name])
        for name, old in before.items()
        if name in after and after[name] != old
    }


def restore(changes: Mapping[str, tuple[Any, Any]]) -> None:
    """Restore the old values of the result of :func:`find_changes`."""
    for name, (old, _) in changes.items():
        with suppress(RuntimeError):  # torch may have frozen its flags
            _ALL[name].write(sys.modules[_ALL[name].library], old)


@contextmanager
def preserve_settings() -> Iterator[dict[str, Any]]:
    """Yield the current settings, and restore them on exit."""
    before = read_settings()
    try:
        yield before
    finally:
        restore(find_changes(before, read_settings()))


@contextmanager
def preserve_from_plugin(key: str, name: str) -> Iterator[None]:
    """Restore on exit the settings and random states that loading a plugin changes.

    Args:
        key: path or origin of the plugin.
        name: name of the plugin in messages.
    """
    yield from _preserve(key, name, "", (*_SETTINGS, *_STATES))


@contextmanager
def preserve_from_module(spec: str, place: str) -> Iterator[None]:
    """Restore on exit the settings, and the seed, that a module changes.

    Args:
        spec: spec of the module.
        place: where it runs: :data:`CONSTRUCTOR` or :data:`FORWARD`.
    """
    yield from _preserve(spec, spec, f" {place}", (*_SETTINGS, *_SEED))


def setting_changes(*keys: str) -> list[SettingChange]:
    """Return the changes so far in this process, by some plugins and modules or by all."""
    return [change for change in _CHANGES if not keys or change.key in keys]


def setting_notes(spec: str | None) -> list[str]:
    """Return the texts of all changes by plugins, and of those by a module."""
    return [change.text for change in _CHANGES if change.by_plugin or change.key == spec]


def _preserve(key: str, name: str, place: str, settings: Sequence[str]) -> Iterator[None]:
    _watch_torch()
    before = read_settings(settings)
    try:
        yield
    finally:
        before = {**{name: _AT_IMPORT[name] for name in settings if name in _AT_IMPORT}, **before}
        changes = find_changes(before, read_settings(settings))
        restore(changes)
        lasting = find_changes(before, read_settings(tuple(changes)))
        for setting, (old, new) in changes.items():
            before_and_after = ("", "") if isinstance(old, bytes) else (str(old), str(new))
            values = " from {} to {}".format(*before_and_after) if before_and_after[0] else ""
            outcome = "it cannot be restored" if setting in lasting else "restored"
            text = f"{name} changes {setting} of the process{values}{place}: {outcome}"
            _CHANGES[SettingChange(key, not place, setting, *before_and_after, text)] = None


def _is_imported(library: str) -> bool:
    module = sys.modules.get(library)
    # not in the middle of its import
    return module is not None and not getattr(module.__spec__, "_initializing", False)


_AT_IMPORT: dict[str, Any] = {}
"""Settings of torch at the end of its import, if a plugin was the first to import it."""


class _TorchFinder(MetaPathFinder):
    """Finder that reads the settings of torch as soon as torch is imported."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return torch's own spec, with a loader that reads the settings in the end."""
        if fullname != "torch":
            return None
        sys.meta_path.remove(self)
        spec = PathFinder.find_spec(fullname, path)
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module

            def exec_module(module: ModuleType) -> None:
                execute(module)
                for name, setting in _ALL.items():
                    if setting.library == "torch":
                        _AT_IMPORT[name] = setting.read(module)

            vars(spec.loader)["exec_module"] = exec_module
        return spec


def _watch_torch() -> None:
    is_watched = any(isinstance(finder, _TorchFinder) for finder in sys.meta_path)
    if "torch" not in sys.modules and not is_watched:
        sys.meta_path.insert(0, _TorchFinder())
