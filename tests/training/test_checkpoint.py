"""Trainings that are stopped go on as if they had not been."""

import json
import pickle
import resource
import shutil
import signal
from pathlib import Path

import pytest
import torch
from accelerate import Accelerator
from torch import nn

from attnbench.errors import RequestError
from attnbench.training import loop
from attnbench.training.checkpoint import Checkpoint, TrainingProgress, _digests
from attnbench.training.loop import train


class Stop(Exception):  # noqa: N818
    """What ends a training from outside."""


@pytest.fixture(autouse=True)
def _at_every_step(monkeypatch):
    monkeypatch.setattr(loop, "_SAVE_S", -1.0)
    monkeypatch.setattr(loop, "_REPORT_S", -1.0)


@pytest.fixture
def busy(recipe):
    """A recipe with all that has a state: momentum, averages, mixing, augmentation."""
    return recipe(
        augment=[{"name": "RandomCrop", "size": 8, "padding": 1}],
        mixup=0.3,
        cutmix=0.5,
        ema=0.7,
        evaluate_every=1,
        schedule={"name": "onecycle"},
    )


def after(steps):
    """Return a ``tell`` that ends the training after so many."""
    told = []

    def tell(text):
        told.append(text)
        if len(told) == steps:
            raise Stop

    return tell


def stopped(model, data, recipe, folder, steps, seed=0, epochs=None):
    with pytest.raises(Stop):
        train(model, data, recipe, seed, folder=folder, epochs=epochs, report=after(steps))


def counted(model):
    """Count the forward passes in training."""
    passes = []
    model.register_forward_hook(lambda one, *_: passes.append(one.training))
    return lambda: sum(passes)


def equal(first, second):
    return first.keys() == second.keys() and all(
        torch.equal(first[key], second[key]) for key in first
    )


def same(first, second):
    return equal(first.state_dict(), second.state_dict())


@pytest.fixture
def whole(data, busy, network):
    """A training that was not stopped, and what it gave."""
    model = network(dropout=0.3)
    return model, train(model, data, busy, 0)


@pytest.mark.parametrize("stops", [(1,), (2,), (3,), (4,), (6,), (1, 1, 1), (3, 2)])
def test_stopped_trainings_end_as_whole_ones(stops, data, busy, network, whole, tmp_path):
    # three steps an epoch: within one, right at its end, after the last one, several times
    folder = tmp_path / "not" / "there"
    for steps in stops:
        stopped(network(dropout=0.3), data, busy, folder, steps)
    model = network(dropout=0.3)
    passes = counted(model)
    found = train(model, data, busy, 0, folder=folder)
    assert passes() == 6 - sum(stops)
    assert same(model, whole[0])
    assert found.curve == whole[1].curve
    assert (found.loss, found.steps, found.top1) == (whole[1].loss, 6, whole[1].top1)
    assert found.correct.tolist() == whole[1].correct.tolist()
    assert (found.images_per_s is None) == (sum(stops) == 6)


@pytest.mark.parametrize("schedule", ["cosine", "step"])
def test_without_averages_and_with_other_schedules(schedule, data, recipe, network, tmp_path):
    chosen = recipe(schedule={"name": schedule, "step_epochs": 1, "gamma": 0.5}, accumulate=2)
    stopped(network(), data, chosen, tmp_path, 2)
    resumed, plain = network(), network()
    assert (
        train(resumed, data, chosen, 0, folder=tmp_path).curve
        == train(plain, data, chosen, 0).curve
    )
    assert same(resumed, plain)


def test_a_step_that_fails_is_done_again(data, busy, network, whole, tmp_path):
    class Fails(nn.Module):
        left = 5

        def forward(self, x):
            self.left -= self.training
            if self.left == 0:
                raise Stop
            return x

    model = network(dropout=0.3)
    model.append(Fails())
    with pytest.raises(Stop):
        train(model, data, busy, 0, folder=tmp_path)
    second = network(dropout=0.3)
    second.append(Fails())
    passes = counted(second)
    train(second, data, busy, 0, folder=tmp_path)
    assert passes() == 2
    assert equal(second.state_dict(), whole[0].state_dict())


def test_one_checkpoint_is_kept(data, busy, network, tmp_path):
    train(network(), data, busy, 0, folder=tmp_path)
    assert [one.name for one in tmp_path.iterdir()] == ["current"]


def test_that_nothing_is_saved_within_the_time(data, recipe, network, tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "_SAVE_S", 1e9)
    train(network(), data, recipe(), 0, folder=tmp_path / "a")
    assert not (tmp_path / "a").exists()


def resumes(data, recipe, network, folder, **changes):
    """How many steps a training in this folder still does, of six."""
    model = network(dropout=0.3)
    passes = counted(model)
    train(model, data, recipe, changes.pop("seed", 0), folder=folder, **changes)
    return passes()


@pytest.fixture
def left(data, busy, network, tmp_path):
    """The folder of a training that was stopped after four steps."""
    folder = tmp_path / "left"
    stopped(network(dropout=0.3), data, busy, folder, 4)
    return folder


def test_a_checkpoint_of_another_training_is_not_taken(left, data, busy, network, split, tmp_path):
    def count(recipe=busy, data=data, network=network, **changes):
        copy = tmp_path / "copy"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(left, copy)
        return resumes(data, recipe, network, copy, **changes)

    assert count() == 2
    assert count(seed=1) == 6
    assert count(epochs=3) == 9
    assert count(recipe=busy.model_copy(update={"label_smoothing": 0.1})) == 6
    assert count(recipe=busy.model_copy(update={"title": "another"})) == 2
    assert count(data=type(data)("other", data.train, data.test)) == 6
    assert count(data=type(data)("tiny", data.train, split(21))) == 6
    assert count(network=lambda dropout: network(norm=False, dropout=dropout)) == 6

    def others(dropout):  # the same network from other weights: --weights
        model = network(dropout=dropout)
        model[0].weight.data += 0.1
        return model

    assert count(network=others) == 6
    assert count(network=lambda dropout: network(dropout=0.1)) == 6


def cut(path):
    path.write_bytes(path.read_bytes()[:-7])


def zeroed(path):
    path.write_bytes(bytes(path.stat().st_size))


def test_torn_checkpoints_are_not_looked_at(left, data, busy, network, whole, tmp_path):
    files = sorted(one.name for one in (left / "current").iterdir())
    assert len(files) >= 5
    for number, name in enumerate(files):
        copy = tmp_path / str(number)
        shutil.copytree(left, copy)
        (Path.unlink, cut, zeroed)[number % 3](copy / "current" / name)
        model = network(dropout=0.3)
        passes = counted(model)
        train(model, data, busy, 0, folder=copy)
        assert passes() == 6, name
        assert same(model, whole[0])


@pytest.mark.parametrize("mark", ["[]", "{}", "{", '{"identity": 1, "files": 3}', "null"])
def test_marks_that_say_nothing(left, data, busy, network, mark):
    (left / "current" / "whole.json").write_text(mark)
    assert resumes(data, busy, network, left) == 6


def test_a_kill_while_a_checkpoint_is_written(left, data, busy, network):
    torn = left / ".new-abc"
    shutil.copytree(left / "current", torn)
    (torn / "whole.json").unlink()
    assert resumes(data, busy, network, left) == 2
    assert [one.name for one in left.iterdir()] == ["current"]


def test_a_kill_between_the_two_renames(left, data, busy, network, tmp_path):
    newer = tmp_path / "newer"
    stopped(network(dropout=0.3), data, busy, newer, 5)
    (left / "current").rename(left / ".old-abc")
    shutil.copytree(newer / "current", left / ".new-abc")
    assert resumes(data, busy, network, left) == 1
    assert [one.name for one in left.iterdir()] == ["current"]


def test_an_interrupt_between_the_two_renames(left, data, busy, network, monkeypatch):
    rename, done = Path.rename, []

    def once(path, target):
        if done:
            raise KeyboardInterrupt
        done.append(path)
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", once)
    with pytest.raises(KeyboardInterrupt):
        train(network(dropout=0.3), data, busy, 0, folder=left)
    monkeypatch.undo()
    assert not (left / "current").exists()
    assert resumes(data, busy, network, left) == 1


def test_a_folder_that_cannot_be_written(data, recipe, network, tmp_path):
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(RequestError, match=r"checkpoint .*file cannot be written: "):
        train(network(), data, recipe(), 0, folder=file)
    with pytest.raises(RequestError, match=r"checkpoint .*below cannot be written: "):
        train(network(), data, recipe(), 0, folder=file / "below")


def test_a_full_disk(data, recipe, network, tmp_path):
    stopped(network(), data, recipe(), tmp_path, 2)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1500, before[1]))
        with pytest.raises(RequestError, match="cannot be written"):
            train(network(), data, recipe(), 0, folder=tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    # the one before is still whole
    assert [one.name for one in tmp_path.iterdir()] == ["current"]
    assert resumes(data, recipe(), lambda dropout: network(), tmp_path) == 4


class Evil:
    """Writes a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.write_text, (self.path, "unpickled")


FILES = ["own.pt", "optimizer.bin", "random_states_0.pkl", "custom_checkpoint_0.pkl"]


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("protocol", ["pickle", "torch"])
def test_nothing_is_unpickled_that_runs_code(left, data, busy, network, tmp_path, name, protocol):
    path, witness = left / "current" / name, tmp_path / "witness"
    if protocol == "pickle":
        path.write_bytes(pickle.dumps(Evil(witness)))
    else:
        torch.save({"step": Evil(witness), "schedule": {}}, path)
    forge(left / "current")
    if name == "random_states_0.pkl":  # accelerate goes on without
        assert resumes(data, busy, network, left) == 2
    else:
        with pytest.raises(RequestError, match=r"current .*[^.]\. Remove it"):
            resumes(data, busy, network, left)
    assert not witness.exists()
    pickle.loads(pickle.dumps(Evil(witness)))
    assert witness.read_text() == "unpickled"


def test_weights_are_not_read_from_a_pickle(left, data, busy, network, tmp_path):
    witness = tmp_path / "witness"
    (left / "current" / "model.safetensors").unlink()
    torch.save(Evil(witness), left / "current" / "pytorch_model.bin")
    forge(left / "current")
    with pytest.raises(RequestError, match="cannot be read"):
        resumes(data, busy, network, left)
    assert not witness.exists()


def forge(folder):
    """Mark changed files as whole."""
    mark = json.loads((folder / "whole.json").read_text())
    mark["files"] = _digests(folder)
    (folder / "whole.json").write_text(json.dumps(mark))


def test_progress_goes_through_a_file(tmp_path):
    done = TrainingProgress(7, [torch.tensor(0.5), torch.tensor(0.25)], [{"epoch": 1, "loss": 0.1}])
    accelerator, found = Accelerator(), TrainingProgress()
    Checkpoint(tmp_path, "a", {"progress": done}).save(accelerator)
    assert not Checkpoint(tmp_path, "b", {"progress": found}).load(accelerator)
    assert found == TrainingProgress()
    assert Checkpoint(tmp_path, "a", {"progress": found}).load(accelerator)
    assert (found.step, found.losses, found.curve) == (done.step, done.losses, done.curve)


def test_no_folder_yet(tmp_path):
    assert not Checkpoint(tmp_path / "none", "a", {}).load(Accelerator())
