"""The loop against plain loops written here."""

import math
import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn
from torch.optim.lr_scheduler import LambdaLR, OneCycleLR

from attnbench.datasets.dataset import Data, in_memory
from attnbench.errors import RequestError
from attnbench.training import loop
from attnbench.training.dataloader import feed
from attnbench.training.evaluate import Diverged
from attnbench.training.loop import train
from attnbench.training.seeds import step_seed


def equal(first, second):
    return first.keys() == second.keys() and all(
        torch.equal(first[key], second[key]) for key in first
    )


def plainly_trained(model, data, recipe, seed, schedule, after_step=lambda model: None):
    """Train with nothing but torch: forward, loss, backward, SGD, schedule."""
    model.to(memory_format=torch.channels_last).train()
    weights = [one for one in model.parameters() if one.ndim > 1]
    others = [one for one in model.parameters() if one.ndim <= 1]
    optimizer = torch.optim.SGD(
        [
            {"params": weights, "weight_decay": recipe.optimizer.weight_decay},
            {"params": others, "weight_decay": 0.0},
        ],
        lr=recipe.optimizer.lr,
        momentum=recipe.optimizer.momentum,
        nesterov=recipe.optimizer.nesterov,
    )
    rates = schedule(optimizer)
    criterion = nn.CrossEntropyLoss(label_smoothing=recipe.label_smoothing)
    batches, losses, step = feed(data.train, recipe), [], 0
    for epoch in range(recipe.epochs):
        losses.append([])
        generator = batches.training(seed, epoch)
        while True:
            torch.manual_seed(step_seed(seed, step))
            batch = next(generator, None)
            if batch is None:
                break
            optimizer.zero_grad()
            loss = criterion(model(batch[0]), batch[1])
            loss.backward()
            optimizer.step()
            rates.step()
            after_step(model)
            losses[-1].append(loss.item())
            step += 1
    return losses


def cosine(total):
    return lambda optimizer: LambdaLR(
        optimizer, lambda step: 0.5 * (1 + math.cos(math.pi * step / total))
    )


def onecycle(total):
    return lambda optimizer: OneCycleLR(optimizer, max_lr=0.05, total_steps=total + 1)


SETTINGS = {
    "plain": ({}, cosine(6)),
    "as the shipped ones": (
        {
            "optimizer": {"lr": 0.05, "nesterov": True, "weight_decay": 5e-4},
            "schedule": {"name": "onecycle"},
            "label_smoothing": 0.1,
            "draw": 4,
            "augment": [{"name": "RandomCrop", "size": 8, "padding": 1}],
        },
        onecycle(6),
    ),
}


@pytest.mark.parametrize("name", SETTINGS)
def test_it_computes_what_a_plain_loop_computes_bit_for_bit(name, data, recipe, network):
    changes, schedule = SETTINGS[name]
    chosen = recipe(**changes)
    ours, theirs = network(dropout=0.2), network(dropout=0.2)
    trained = train(ours, data, chosen, seed=3)
    losses = plainly_trained(theirs, data, chosen, 3, schedule)
    assert equal(ours.state_dict(), theirs.state_dict())
    assert [one["loss"] for one in trained.curve] == [float(np.mean(one)) for one in losses]
    assert trained.loss == trained.curve[-1]["loss"]
    assert [one["epoch"] for one in trained.curve] == [1, 2]
    assert (trained.steps, trained.device, trained.threads) == (6, "cpu", 1)

    images, targets = zip(*feed(data.test, chosen).test(), strict=True)
    with torch.no_grad():
        right = theirs.eval()(torch.cat(images)).argmax(1) == torch.cat(targets)
    assert trained.correct.tolist() == right.tolist()
    assert trained.top1 == pytest.approx(100 * right.double().mean().item())
    assert not ours.training


def test_the_last_rates_are_kept(data, recipe, network):
    trained = train(network(), data, recipe(), seed=0)
    wanted = [0.05 * 0.5 * (1 + math.cos(math.pi * step / 6)) for step in (3, 6)]
    assert [one["lr"] for one in trained.curve] == pytest.approx(wanted, abs=1e-12)


def test_two_runs_are_identical_and_seeds_differ(data, recipe, network):
    augment = [{"name": "RandomCrop", "size": 8, "padding": 2}]
    chosen = recipe(augment=augment, mixup=0.3, cutmix=0.5, ema=0.8, clip_norm=1.0)
    found = []
    for seed in (1, 1, 2):
        torch.manual_seed(torch.seed())  # what was drawn before must not matter
        model = network(dropout=0.3)
        found.append((train(model, data, chosen, seed), model.state_dict()))
    assert found[0][0].curve == found[1][0].curve
    assert equal(found[0][1], found[1][1])
    assert found[0][0].correct.tolist() == found[1][0].correct.tolist()
    assert found[0][0].curve != found[2][0].curve


def test_what_a_module_draws_moves_nothing_after_the_step(data, recipe, network):
    class Draws(nn.Module):
        def forward(self, x):
            if self.training:
                torch.rand(7)
            return x

    chosen = recipe(augment=[{"name": "RandomHorizontalFlip"}], draw=1, mixup=0.2)
    plain, drawing = network(), network()
    drawing.append(Draws())
    found = [train(one, data, chosen, 0).curve for one in (plain, drawing)]
    assert found[0] == found[1]


@pytest.mark.parametrize(("count", "accumulate"), [(40, 2), (42, 4)])
def test_a_batch_in_parts_is_the_whole_batch(split, recipe, network, count, accumulate):
    # without a norm, whose statistics are of the part; 42 images: parts of 3, 3, 2 and 2
    data = Data("tiny", split(count), split(20))
    whole, parts = network(norm=False), network(norm=False)
    plain = train(whole, data, recipe(), 0)
    cut = train(parts, data, recipe(accumulate=accumulate), 0)
    for key, value in whole.state_dict().items():
        assert torch.allclose(parts.state_dict()[key], value, atol=1e-6), key
    assert [one["loss"] for one in cut.curve] == pytest.approx([one["loss"] for one in plain.curve])
    assert cut.steps == plain.steps


def test_averaged_weights_are_tested_and_kept(data, recipe, network):
    chosen = recipe(ema=0.7)
    averages = {}

    def follow(model):
        for key, value in model.state_dict().items():
            if key not in averages or not value.is_floating_point():
                averages[key] = value.clone()
            else:
                averages[key] = 0.7 * averages[key] + 0.3 * value

    ours, theirs = network(), network()
    trained = train(ours, data, chosen, 0)
    plainly_trained(theirs, data, chosen, 0, cosine(6), follow)
    for key, value in ours.state_dict().items():
        assert torch.allclose(value, averages[key], atol=1e-6), key
    assert int(ours[1].num_batches_tracked) == 6
    theirs.load_state_dict(averages)
    images, targets = next(feed(data.test, chosen).test())
    assert trained.correct.tolist() == (theirs.eval()(images).argmax(1) == targets).tolist()


def test_gradients_are_clipped(data, recipe, network):
    constant = {"schedule": {"name": "constant"}, "epochs": 1, "batch_size": 40}
    bare = {"lr": 1.0, "momentum": 0.0, "weight_decay": 0.0}
    model = network()
    before = torch.cat([one.detach().clone().flatten() for one in model.parameters()])
    train(model, data, recipe(clip_norm=0.01, optimizer=bare, **constant), 0)
    after = torch.cat([one.detach().flatten() for one in model.parameters()])
    assert float((after - before).norm()) == pytest.approx(0.01, rel=1e-3)


def test_tests_between_epochs_change_nothing(data, recipe, network):
    first, second = network(dropout=0.2), network(dropout=0.2)
    plain = train(first, data, recipe(epochs=3), 0)
    tested = train(second, data, recipe(epochs=3, evaluate_every=2), 0)
    assert equal(first.state_dict(), second.state_dict())
    assert ["top1" in one for one in tested.curve] == [False, True, False]
    assert [one["loss"] for one in tested.curve] == [one["loss"] for one in plain.curve]


def test_epochs_instead_of_the_recipes(data, recipe, network):
    assert [one["epoch"] for one in train(network(), data, recipe(), 0, epochs=1).curve] == [1]


class Poisoned(nn.Module):
    """Gives no number from one training step on."""

    def __init__(self, step):
        super().__init__()
        self.left = step

    def forward(self, x):
        self.left -= self.training
        return x * float("nan") if self.training and self.left <= 0 else x


@pytest.mark.parametrize(("step", "epoch"), [(1, 1), (3, 1), (4, 2), (5, 2), (6, 2)])
def test_the_first_step_whose_loss_is_no_number(data, recipe, network, step, epoch):
    model = network()
    model.append(Poisoned(step))
    with pytest.raises(Diverged, match=f"loss nan at step {step}, in epoch {epoch}$"):
        train(model, data, recipe(), 0)


def test_a_learning_rate_that_is_too_high(data, recipe, network):
    hot = {"lr": 1e30, "weight_decay": 0.0}
    chosen = recipe(epochs=4, optimizer=hot, schedule={"name": "constant"})
    plain = network(norm=False)
    found = plainly_trained(plain, data, chosen, 0, lambda one: LambdaLR(one, lambda _: 1))
    losses = [loss for epoch in found for loss in epoch]
    first = next(number for number, loss in enumerate(losses) if not math.isfinite(loss)) + 1
    with pytest.raises(Diverged, match=rf"step {first}, in epoch {(first - 1) // 3 + 1}$"):
        train(network(norm=False), data, chosen, 0)


def test_bf16(data, recipe, network):
    model, exact = network(), network()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        trained = train(model, data, recipe(precision="bf16"), 0)
    full = train(exact, data, recipe(), 0)
    assert not equal(model.state_dict(), exact.state_dict())
    assert trained.loss == pytest.approx(full.loss, rel=0.05)
    assert {one.dtype for one in model.parameters()} == {torch.float32}
    # nothing of the casting stays in the network, and it is tested without
    images, targets = next(feed(data.test, recipe()).test())
    fresh = network()
    fresh.load_state_dict(model.state_dict())
    fresh.to(memory_format=torch.channels_last).eval()
    with torch.no_grad():
        assert torch.equal(model(images), fresh(images))
        assert trained.correct.tolist() == (fresh(images).argmax(1) == targets).tolist()
    assert "forward" not in vars(model)


def test_precisions_can_change_within_a_process(data, recipe, network):
    first, second = network(), network()
    train(first, data, recipe(epochs=1), 0)
    train(network(), data, recipe(epochs=1, precision="bf16", accumulate=2), 0)
    train(second, data, recipe(epochs=1), 0)
    assert equal(first.state_dict(), second.state_dict())


def test_a_network_can_be_trained_twice(data, recipe, network):
    twice, once = network(), network()
    for seed in (0, 1):
        train(twice, data, recipe(epochs=1), seed)
    train(once, data, recipe(epochs=1), 0)
    again = network()
    again.load_state_dict(once.state_dict())
    train(again, data, recipe(epochs=1), 1)
    assert equal(twice.state_dict(), again.state_dict())


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU can train in fp16")
@pytest.mark.parametrize("precision", ["fp16", "tf32"])
def test_a_precision_that_needs_a_gpu(data, recipe, network, precision):
    with pytest.raises(RequestError, match=rf"tiny: .*{precision}.*GPU.*bf16"):
        train(network(), data, recipe(precision=precision), 0)


def test_too_few_images(split, recipe, network):
    data = Data("few", split(7), split(7))
    message = "data set few .*recipe tiny: got 7.* 8"
    with pytest.raises(RequestError, match=message):
        train(network(), data, recipe(accumulate=4), 0)


def test_labels_beyond_the_classes_are_refused_before_the_first_epoch(split, recipe, network):
    test = replace(split(8), targets=torch.full((8,), 9))
    with pytest.raises(
        RequestError, match=r"data set few has label 9, which is no index of its \d"
    ):
        train(network(), Data("few", split(8), test), recipe(), 0)


def test_a_batch_that_is_too_small_for_the_processes(data, recipe):
    with pytest.raises(RequestError, match=r"batch_size .* 3 processes: got 4.* 6"):
        loop._check(data, recipe(batch_size=4), 3)


def test_frozen_weights_stay(data, recipe, network):
    model = network()
    model[0].weight.requires_grad_(False)
    before = model[0].weight.clone()
    train(model, data, recipe(), 0)
    assert torch.equal(model[0].weight, before)


def test_it_learns(recipe, network):
    bright = torch.full((70, 3, 8, 8), 60, dtype=torch.uint8)
    targets = torch.arange(70) % 7
    images = bright + (targets * 20).to(torch.uint8).view(-1, 1, 1, 1)
    one = in_memory(images, targets, tuple("abcdefg"))
    chosen = recipe(epochs=12, optimizer={"lr": 0.1}, schedule={"name": "onecycle"})
    trained = train(network(), Data("easy", one, one), chosen, 0)
    assert trained.top1 > 60
    assert trained.top5 == 100
    assert trained.loss < trained.curve[0]["loss"]


def test_progress_is_told(data, recipe, network, monkeypatch):
    monkeypatch.setattr(loop, "_REPORT_S", -1.0)
    told = []
    train(network(), data, recipe(), 0, report=told.append)
    assert len(told) == 6
    assert told[0].startswith("epoch 1/2, step 1/3, loss ")
    assert told[2].startswith("epoch 2/2, step 0/3, ")
    assert told[5].startswith("epoch 2/2, step 0/3, ")
    assert told[0].endswith(" images/s")
