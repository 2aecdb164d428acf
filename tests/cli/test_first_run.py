"""A module that breaks the contract is refused by every command before anything is measured."""

from pathlib import Path

import pytest

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
    "Exits": "fails on (1, 16, 5, 7): SystemExit: it ends the process with os._exit(7)",
    "Hidden": "uses weights that are not among its parameters: got (16, 16, 3, 3), (16,). Keep",
    "HalfUp": "fails on (1, 16, 5, 7): RuntimeError: The size of tensor a (7) must match",
}


@pytest.mark.parametrize("name", PROBLEMS)
@pytest.mark.parametrize("command", COMMANDS)
def test_a_module_alone(attnbench, command, name):
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
