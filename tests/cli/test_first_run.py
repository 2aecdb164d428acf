"""A module that breaks the contract is refused by every command before anything is measured."""

from pathlib import Path

import pytest

from attnbench.conformance.checks import CHECKS
from attnbench.utils import forked_trial

GATES = Path(__file__).with_name("broken_gates.py")
ALONE = ("--channels", "16", "--size", "5x7")
PLACED = ("-b", "mobilenet_v2,width=0.35", "-p", "after:3")
MUST = "must return one tensor of the input's shape: got"
COMMANDS = {
    "cost": ("cost",),
    "latency": ("latency", "--budget", "0.2"),
    "export": ("export", "--runtime", "onnxruntime", "-o", "out"),
}
PROBLEMS = {
    "Pair": f"returns a tuple of 2, {MUST} ((1, 16, 5, 7), (1, 16, 5, 7)) for (1, 16, 5, 7)",
    "Pooled": f"returns another shape, {MUST} (1, 16, 1, 1) for (1, 16, 5, 7)",
    "Hidden": "uses weights that are not among its parameters: got (16, 16, 3, 3), (16,). Keep",
    "Exits": "ends Python during its first forward pass: got exit status 7",
    "Crashes": f"ends Python during its first forward pass: got SIGSEGV at {GATES}:",
    "CrashesAtOnce": f"ends Python during its first forward pass: got SIGABRT at {GATES}:",
    "Hangs": f"hangs during its first forward pass: got no end within 1.5 s at {GATES}:",
    "HalfUp": "fails on (1, 16, 5, 7): RuntimeError: The size of tensor a (7) must match",
}


@pytest.mark.parametrize("name", PROBLEMS)
@pytest.mark.parametrize("command", COMMANDS)
def test_a_module_alone(attnbench, monkeypatch, command, name):
    if name == "Hangs":
        monkeypatch.setattr(forked_trial, "_LIMIT_S", 1.5)
    done = attnbench(*COMMANDS[command], "-m", f"{GATES}:{name}", *ALONE)
    assert done.status == 2 and done.out == ""
    (line,) = [line for line in done.err.splitlines() if line.startswith("attnbench: ")]
    assert f"{name} {PROBLEMS[name]}" in line


@pytest.mark.parametrize(
    "command",
    [("cost",), ("latency",), ("accuracy", "--epochs", "1", "--seeds", "1")],
)
def test_a_module_in_a_backbone(attnbench, command, tmp_path):
    spec = ("-m", "se", "-m", f"{GATES}:Pair")
    placed = [word if word != "after:3" else "after:14" for word in PLACED]
    done = attnbench(*command, *spec, *placed)
    assert done.status == 2 and done.out == ""
    assert f"Pair returns a tuple of 2, {MUST}" in done.err
    assert not (tmp_path / "attnbench-results").exists()


@pytest.mark.parametrize(
    ("module", "reason"),
    [
        (
            "os:_exit",
            "_exit is a built-in function, neither a nn.Module class nor a Python function",
        ),
        ("builtins:print", "print is a built-in function"),
        ("shutil:rmtree", "rmtree is a function of shutil"),
        ("torch.nn:Conv2d", "Write torch.nn:Conv2d,kernel_size=VALUE,out_channels=channels"),
    ],
)
def test_an_object_that_is_no_module_is_never_called(attnbench, module, reason):
    done = attnbench("cost", "-m", module, *ALONE)
    assert (done.status, done.out) == (2, "")
    assert reason in done.err and len(done.err.splitlines()) == 1


def test_a_crash_in_show_module_is_one_line_and_only_of_the_checks(attnbench):
    module = f"{GATES}:Crashes"
    done = attnbench("show", "module", module)
    assert done.status == 2 and done.out == ""
    reason = done.err.splitlines()[-1].removeprefix("attnbench: ")
    assert reason.startswith(f"{module} ends Python during its first forward pass: got SIGSEGV")
    page = attnbench("show", "module", module, "--no-check", "--json")
    assert page.status == 0 and page.json["costs_reason"] == reason


def test_a_crash_in_a_later_check_is_a_finding_of_that_check(attnbench, monkeypatch):
    chosen = [CHECKS[name] for name in ("maps", "gradients", "determinism")]
    monkeypatch.setattr("attnbench.conformance.checks.default_checks", lambda: chosen)
    page = attnbench("show", "module", f"{GATES}:CrashesBackward", "--json")
    assert page.status == 0
    found = {one["check"]: one for one in page.json["conformance"]["findings"]}
    assert found["maps"]["status"] == found["determinism"]["status"] == "ok"
    assert found["gradients"]["status"] == "broken" and "SIGSEGV" in found["gradients"]["reason"]
