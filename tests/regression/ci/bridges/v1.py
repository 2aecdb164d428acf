"""Protocol 1 as it was when it was fixed, on a stand-in engine: frozen, and never adapted.

A tree whose ``attnbench`` keeps plugins in ``MODULES`` has this file as its bridge. It uses nothing
else of attnbench, and of torch what the artifacts of ``export`` are defined by.
"""

import hashlib
import json
import platform
import runpy
import sys
from importlib.metadata import entry_points, version
from pathlib import Path
from time import perf_counter

import attnbench

PROTOCOL = 1


class UnknownError(Exception):
    """This side has no module of that name."""


def serve(setup_file, answers):
    setup = json.loads(Path(setup_file).read_text(encoding="utf-8"))
    failures = []
    for path in setup.get("plugins", ()):
        try:
            runpy.run_path(path, run_name=Path(path).stem)
        except Exception as error:
            failures.append(f"{path}: {error}")
    for line in sys.stdin:
        answers.write(json.dumps(answer(json.loads(line), setup, failures)) + "\n")
        answers.flush()


def answer(task, setup, failures):
    try:
        return {"ok": TASKS[task["do"]](task, setup, failures)}
    except UnknownError as error:
        return {"error": str(error), "kind": "unknown-name"}
    except KeyError as error:
        return {"error": f"KeyError: {error}", "kind": "unknown-task"}
    except Exception as error:
        return {"error": f"{type(error).__name__}: {error}", "kind": "failed"}


def facts(_, setup, failures):
    return {
        "protocol": PROTOCOL,
        "attnbench": attnbench.__file__,
        "kind": "tree",
        "version": "",
        "versions": {"python": platform.python_version(), "torch": version("torch")},
        "failures": failures,
        "points": [[point.name, point.value] for point in entry_points(group="attnbench.plugins")],
    }


def plan(task, setup, failures):
    content = task["content"]
    networks = [
        {
            "backbone": None, "module": module, "placement": None, "channels": row["channels"],
            "size": [row["size"], row["size"]], "fused": False, "latency": False,
        }
        for layout in content["table"]
        for row in layout["row"]
        for module in row["module"]
        if not task.get("selected")
    ]  # fmt: skip
    return {"name": task["suite"], "content": content, "networks": networks}


def inspect(task, setup, failures):
    model, costs = build(task["network"]), {"macs": 0, "activations": 0}

    def count(conv, _, output):
        costs["activations"] += output.numel()
        costs["macs"] += output.numel() * conv.weight[0].numel()

    for module in model.modules():
        if hasattr(module, "kernel_size"):
            module.register_forward_hook(count)
    model(example(task["network"]))
    plugin = next(path for path in setup["plugins"] if Path(path).stem == type(model).__module__)
    hashed = hashlib.sha256(Path(plugin).read_bytes()).hexdigest()[:16]
    name = f"{Path(plugin).name}:{type(model).__qualname__}"
    return {
        "classes": [{"class": name, "file": plugin, "kind": "tree", "hash": hashed}],
        "foreign": [],
        "sources": {Path(plugin).relative_to(setup["own"]).as_posix(): hashed},
        "cost": {"params": sum(weight.numel() for weight in model.parameters()), **costs},
    }


def export(task, setup, failures):
    import torch

    program = torch.export.export(build(task["network"]), (example(task["network"]),))
    torch.export.save(program, task["file"])


def time(task, setup, failures):
    import math
    import statistics

    model, given, seconds = build(task["network"]), example(task["network"]), []
    for _ in range(7):
        start = perf_counter()
        model(given)
        seconds.append(perf_counter() - start)
    log = math.log(statistics.median(seconds))
    return {"log": log, "calls": len(seconds), "clock": "perf_counter"}


def build(network):
    import torch

    name = network["module"]
    if name not in attnbench.MODULES:
        raise UnknownError(f"no module {name!r}")
    torch.manual_seed(0)
    return attnbench.MODULES[name](network["channels"]).eval().requires_grad_(False)


def example(network):
    import torch

    shape = (1, network["channels"], *network["size"])
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


TASKS = {"facts": facts, "plan": plan, "inspect": inspect, "export": export, "time": time}
