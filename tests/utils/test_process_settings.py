"""Settings that plugins and modules change are restored and named, whoever imports torch first."""

import random
import sys
from contextlib import contextmanager

import numpy
import pytest
import torch

from attnbench.utils import process_settings
from attnbench.utils.process_settings import (
    CONSTRUCTOR,
    FORWARD,
    find_changes,
    preserve_from_module,
    preserve_from_plugin,
    preserve_settings,
    read_settings,
    setting_changes,
    setting_notes,
)


@pytest.fixture(autouse=True)
def log(monkeypatch):
    """An empty log of changes, and torch as it was."""
    monkeypatch.setattr(process_settings, "_CHANGES", {})
    state = torch.get_rng_state()
    with preserve_settings():
        yield
    torch.set_rng_state(state)


@contextmanager
def preserve(setting):
    yield from process_settings._preserve("a.py", "a.py", "", [setting])


def flush():
    if not torch.set_flush_denormal(True):
        pytest.skip("this processor keeps denormal numbers")


CHANGES = {
    "the default dtype": lambda: torch.set_default_dtype(torch.float64),
    "the default device": lambda: torch.set_default_device("meta"),
    "the grad mode": lambda: torch.set_grad_enabled(False),
    "the number of threads": lambda: torch.set_num_threads(torch.get_num_threads() + 1),
    "the precision of float32 products": lambda: torch.set_float32_matmul_precision("medium"),
    "the anomaly mode": lambda: torch.autograd.set_detect_anomaly(True),
    "the deterministic mode": lambda: torch.use_deterministic_algorithms(True, warn_only=True),
    "the flushing of denormal numbers": flush,
    "the autocast of the CPU": lambda: torch.set_autocast_enabled("cpu", True),
    "torch.backends.cudnn.benchmark": lambda: setattr(torch.backends.cudnn, "benchmark", True),
    "the seed of torch's random numbers": lambda: torch.manual_seed(42),
}


@pytest.mark.parametrize("setting", CHANGES)
def test_each_change_of_a_module_is_restored_and_named(setting):
    torch.manual_seed(7)
    before, state = read_settings(), torch.get_rng_state()
    with preserve_from_module("gate", FORWARD):
        CHANGES[setting]()
    assert read_settings() == before
    assert torch.equal(torch.get_rng_state(), state)
    (change,) = setting_changes()
    assert change.setting == setting
    assert change.text.startswith(f"gate changes {setting} of the process from ")
    assert change.text.endswith(" in its forward pass: restored")


def test_the_whole_sentence():
    with preserve_from_plugin("/home/me/wide.py", "wide.py"):
        torch.set_default_dtype(torch.float64)
    assert [change.text for change in setting_changes()] == [
        "wide.py changes the default dtype of the process from torch.float32 to torch.float64: "
        "restored"
    ]


def test_drawing_numbers_is_no_change_by_a_module():
    with preserve_from_module("gate", CONSTRUCTOR):
        torch.randn(3)
        random.random()
    assert setting_changes() == []


@pytest.mark.parametrize(
    ("draw", "whose", "read"),
    [
        (lambda: torch.randn(3), "torch's", lambda: torch.get_rng_state().tolist()),
        (lambda: random.seed(1), "Python's", random.getstate),
        (lambda: numpy.random.rand(3), "NumPy's", lambda: list(numpy.random.get_state()[1])),
    ],
)
def test_generators_are_restored_after_a_plugin(draw, whose, read):
    before = read()
    with preserve_from_plugin("draws.py", "draws.py"):
        draw()
    assert read() == before
    (change,) = setting_changes("draws.py")
    text = f"draws.py changes the state of {whose} random numbers of the process: restored"
    assert change.text == text


def test_a_plugin_that_fails_is_restored_and_named():
    with pytest.raises(ZeroDivisionError), preserve_from_plugin("a.py", "a.py"):
        torch.set_default_dtype(torch.float64)
        raise ZeroDivisionError
    assert torch.get_default_dtype() == torch.float32
    assert len(setting_changes("a.py")) == 1


def test_what_cannot_be_restored_is_said(monkeypatch):
    frozen = process_settings._Setting("torch", lambda torch: len(made), lambda torch, to: None)
    monkeypatch.setitem(process_settings._ALL, "the frozen flag", frozen)
    made = []
    with preserve("the frozen flag"):
        made.append(1)
    (change,) = setting_changes()
    assert (
        change.text
        == "a.py changes the frozen flag of the process from 0 to 1: it cannot be restored"
    )


def test_notes_are_of_all_plugins_and_of_one_module():
    for spec in ("gate", "other"):
        with preserve_from_module(spec, CONSTRUCTOR):
            torch.set_grad_enabled(False)
    with preserve_from_plugin("a.py", "a.py"):
        torch.set_grad_enabled(False)
    assert [note.split()[0] for note in setting_notes("gate")] == ["gate", "a.py"]
    assert [note.split()[0] for note in setting_notes(None)] == ["a.py"]


def test_a_context_manager_around_is_no_setting():
    with torch.device("meta"):
        before = read_settings()
    assert find_changes(before, read_settings()) == {}


def test_a_plugin_that_is_the_first_to_import_torch(tmp_path, monkeypatch):
    (tmp_path / "torch.py").write_text("dtype = 32\n")
    setting = process_settings._Setting(
        "torch", lambda torch: torch.dtype, lambda torch, to: setattr(torch, "dtype", to)
    )
    with monkeypatch.context() as patched:
        patched.setattr(process_settings, "_ALL", {"the dtype": setting})
        patched.setattr(process_settings, "_AT_IMPORT", {})
        patched.delitem(sys.modules, "torch")
        patched.setattr(sys, "meta_path", list(sys.meta_path))
        patched.syspath_prepend(tmp_path)
        with preserve("the dtype"):
            import torch as fake

            fake.dtype = 64
    assert fake.dtype == 32
    assert [change.text for change in setting_changes()] == [
        "a.py changes the dtype of the process from 32 to 64: restored"
    ]
