"""The loop on several processes that share each batch."""

import contextlib
import json
import os
import runpy
import socket
import sys

import pytest
import torch

SCRIPT = """
import json, sys
from pathlib import Path

import torch
from torch import nn

from attnbench.datasets.dataset import Data, in_memory
from attnbench.training.evaluate import Diverged
from attnbench.training.loop import train
from attnbench.training.recipe import Recipe

out = Path(sys.argv[1])
torch.set_num_threads(1)


class Broken(nn.Module):
    # in one of the processes only
    def forward(self, x):
        rank = torch.distributed.get_rank() if torch.distributed.is_initialized() else 0
        return x * float("nan") if self.training and rank == 1 else x


generator = torch.Generator().manual_seed(3)
images = torch.randint(0, 256, (48, 3, 8, 8), dtype=torch.uint8, generator=generator)
targets = torch.arange(48) % 6
split = in_memory(images, targets, tuple("abcdef"))
data = Data("made", split, split)
recipe = Recipe.model_validate(
    {
        "name": "r", "title": "r", "source": "tests", "size": 8, "epochs": 2, "batch_size": 16,
        "mean": [0.5] * 3, "std": [0.25] * 3, "optimizer": {"lr": 0.05},
    }
)
result = {}
for last in ((), (Broken(),)):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(288, 6), *last)
    try:
        trained = train(model, data, recipe, seed=1)
        result |= {"loss": trained.loss, "weights": model[0].weight.flatten().tolist()}
    except Diverged as error:
        result["diverged"] = str(error)
rank = torch.distributed.get_rank() if torch.distributed.is_initialized() else 0
(out / f"{rank}.json").write_text(json.dumps(result))
"""


@pytest.fixture(scope="module")
def script(tmp_path_factory):
    path = tmp_path_factory.mktemp("launch") / "train.py"
    path.write_text(SCRIPT)
    return path


@pytest.fixture(scope="module")
def two(script, fork_server):
    """What each of two processes reports of a training that is whole and of one that diverges."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    # what torchrun and accelerate launch hand on; a processor also where there is a GPU
    shared = {"ACCELERATE_USE_CPU": "true", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    command = [sys.executable, "-P", str(script), str(script.parent)]
    with contextlib.ExitStack() as running:
        processes = []
        for rank in ("0", "1"):
            errors = running.enter_context((script.parent / f"{rank}.err").open("w"))
            own = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"}
            process = fork_server.start(command, stderr=errors, env=os.environ | shared | own)
            processes.append(running.enter_context(process))
        statuses = [process.wait(120) for process in processes]
    assert statuses == [0, 0], (script.parent / "1.err").read_text()
    return [json.loads((script.parent / f"{rank}.json").read_text()) for rank in range(2)]


def test_two_processes_train_what_one_trains(two, script, tmp_path, monkeypatch):
    monkeypatch.setenv("ACCELERATE_USE_CPU", "true")
    monkeypatch.setattr(sys, "argv", [str(script), str(tmp_path)])
    runpy.run_path(str(script))
    alone = json.loads((tmp_path / "0.json").read_text())
    assert "diverged" not in alone
    first, second = two
    assert first == second
    assert first["loss"] == pytest.approx(alone["loss"], abs=1e-5)
    torch.testing.assert_close(
        torch.tensor(first["weights"]), torch.tensor(alone["weights"]), rtol=1e-4, atol=1e-5
    )


def test_where_one_diverges_all_end(two):
    first, second = two
    assert first == second
    assert "diverged: loss nan at step 1, in epoch 1" in first["diverged"]
