"""The loop on several processes that share each batch."""

import json
import os
import subprocess
import sys

import pytest
import torch

SCRIPT = """
import json, sys
from pathlib import Path

import torch
from torch import nn

from attnbench.datasets.model import Data, in_memory
from attnbench.training.evaluate import Diverged
from attnbench.training.loop import train
from attnbench.training.recipe import Recipe

out, kind = Path(sys.argv[1]), sys.argv[2]
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
torch.manual_seed(0)
last = [Broken()] if kind == "nan" else []
model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(288, 6), *last)
recipe = Recipe.model_validate(
    {
        "name": "r", "title": "r", "source": "tests", "size": 8, "epochs": 2, "batch_size": 16,
        "mean": [0.5] * 3, "std": [0.25] * 3, "optimizer": {"lr": 0.05},
    }
)
try:
    trained = train(model, data, recipe, seed=1)
    result = {"loss": trained.loss, "weights": model[0].weight.flatten().tolist()}
except Diverged as error:
    result = {"diverged": str(error)}
rank = torch.distributed.get_rank() if torch.distributed.is_initialized() else 0
(out / f"{rank}.json").write_text(json.dumps(result))
"""


@pytest.fixture
def launched(tmp_path):
    script = tmp_path / "train.py"
    script.write_text(SCRIPT)

    def launch(processes, kind):
        command = [sys.executable, str(script), str(tmp_path), kind]
        if processes > 1:  # what accelerate launch calls on GPUs; of processors it starts but one
            run = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node"]
            command[1:1] = [*run, str(processes)]
        # not a GPU, where there is one
        environment = os.environ | {"ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1"}
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment)
        assert done.returncode == 0, done.stderr
        return [json.loads((tmp_path / f"{rank}.json").read_text()) for rank in range(processes)]

    return launch


def test_two_processes_train_what_one_trains(launched):
    (alone,) = launched(1, "whole")
    first, second = launched(2, "whole")
    assert first == second
    assert first["loss"] == pytest.approx(alone["loss"], abs=1e-5)
    torch.testing.assert_close(
        torch.tensor(first["weights"]), torch.tensor(alone["weights"]), rtol=1e-4, atol=1e-5
    )


def test_where_one_diverges_all_end(launched):
    first, second = launched(2, "nan")
    assert first == second
    assert "diverged: loss nan at step 1, in epoch 1" in first["diverged"]
