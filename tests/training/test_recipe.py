"""Recipes: those that are shipped, what is told of mistakes, what the hash covers."""

import os

import pytest
import torch
from torch import nn

import attnbench
from attnbench.errors import RequestError, UnknownNameError
from attnbench.training.dataloader import transforms
from attnbench.training.recipe import (
    FALLBACK,
    Optimizer,
    Recipe,
    Schedule,
    adapt,
    default_recipe,
    find_recipe,
    recipes,
)

TEXT = """
name = "mine"
title = "mine"
source = "me"
size = 16
epochs = 3
batch_size = 8
mean = [0.5, 0.5, 0.5]
std = [0.2, 0.2, 0.2]

[optimizer]
lr = 0.1
"""


@pytest.fixture
def write(tmp_path):
    def write(text, name="mine.toml"):
        path = tmp_path / name
        path.write_text(text)
        return str(path)

    return write


@pytest.mark.parametrize("name", recipes())
def test_shipped_recipes(name):
    found = find_recipe(name)
    assert found.name == name
    assert found.title
    assert found.source
    assert all(0 < one < 1 for one in (*found.mean, *found.std))
    assert (transforms(found) is None) == (not found.augment)


def test_the_shipped_ones():
    names = {"digits", "digits-quick", "synthetic", "fashion-mnist", "fashion-mnist-long", "cifar"}
    names |= {"imagenet-mobilenetv2", "imagenet-eca", "finegrained", "finetune", "folder"}
    assert recipes() == sorted(names)
    smoke = {name for name in recipes() if find_recipe(name).smoke}
    assert smoke == {"digits-quick", "synthetic"}


def test_no_data_set_has_two_recipes():
    named = [one for name in recipes() for one in find_recipe(name).datasets]
    assert len(set(named)) == len(named)


@pytest.mark.parametrize(
    ("dataset", "name"),
    [
        ("digits", "digits"),
        ("fashion-mnist", "fashion-mnist"),
        ("cifar10", "cifar"),
        ("cifar100", "cifar"),
        ("imagenet", "imagenet-mobilenetv2"),
        ("food101", "finegrained"),
        ("cub200", "finegrained"),
        ("stanford-dogs", "finegrained"),
        ("synthetic,classes=4", "synthetic"),
        ("folder:/my/images", FALLBACK),
    ],
)
def test_default_recipe(dataset, name):
    assert default_recipe(dataset) == name


def test_what_the_sources_state():
    plain, eca = find_recipe("imagenet-mobilenetv2"), find_recipe("imagenet-eca")
    assert (plain.epochs, plain.batch_size, plain.optimizer.lr) == (150, 256, 0.05)
    assert (eca.epochs, eca.batch_size, eca.optimizer.lr) == (400, 96, 0.045)
    assert (eca.schedule.name, eca.schedule.gamma) == ("exponential", 0.98)
    for one in (plain, eca):
        assert (one.size, one.resize, one.optimizer.momentum) == (224, 256, 0.9)
        assert one.optimizer.weight_decay == one.optimizer.norm_weight_decay == 4e-5
    (baseline,) = plain.baseline
    assert (baseline.backbone, baseline.dataset) == ("mobilenet_v2", "imagenet")
    assert baseline.top1 == 72.19


def test_a_recipe_by_its_path(write):
    found = find_recipe(write(TEXT))
    assert (found.name, found.epochs, found.mean) == ("mine", 3, (0.5, 0.5, 0.5))
    assert (found.precision, found.accumulate, found.draw, found.smoke) == ("fp32", 1, 8, False)


def test_a_changed_file_is_read_again(write):
    path = write(TEXT)
    assert find_recipe(path).epochs == 3
    write(TEXT.replace("epochs = 3", "epochs = 4"))
    os.utime(path, ns=(0, 12345))
    assert find_recipe(path).epochs == 4


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("epochs = 3", "epoch = 3", r"mine\.toml: epochs: .*required"),
        ("size = 16", "size = 16\nepoch = 3", "epoch is an unknown key.*name.*mean 'epochs'"),
        (
            "lr = 0.1",
            "lr = 0.1\nmomentun = 0.9",
            "optimizer.momentun .*name, lr.*'momentum'",
        ),
        ("lr = 0.1", "lr = 0.1\nname = 'sdg'", "optimizer.name: input should be 'sgd', 'adamw'"),
        ("epochs = 3", "epochs = 0", "epochs: input should be greater than or equal to 1$"),
        ("epochs = 3", "epochs = 3.5", "epochs: input should be a valid integer$"),
        ("lr = 0.1", "lr = nan", "optimizer.lr: input should be a finite number"),
        ("batch_size = 8", "batch_size = 8\naccumulate = 5", "batch_size .*accumulate 5: got 8"),
        ("size = 16", "size = 16\nresize = 8", "resize .*size 16: got 8"),
        ("lr = 0.1", "lr = 0.1\nmomentum = 0.0\nnesterov = true", "nesterov needs a momentum"),
        ("size = 16", "size = = 16", r"mine\.toml .*TOML"),
        ("lr = 0.1", "lr = 0.1\n[stem]\nstrides = [2, 8]", "stem.strides.1: input should be less"),
    ],
)
def test_mistakes_are_named(write, old, new, message):
    with pytest.raises(RequestError, match=message):
        find_recipe(write(TEXT.replace(old, new)))


def test_unknown_name():
    with pytest.raises(UnknownNameError, match=r"'digit'.*mean 'digits'.*path of a \.toml file"):
        find_recipe("digit")


@pytest.mark.parametrize("name", ["absent.toml", "no/such", "."])
def test_files_that_cannot_be_read(tmp_path, name):
    with pytest.raises(RequestError, match="cannot be read: "):
        find_recipe(f"{tmp_path}/{name}")


TRAINED = {
    "size": 16,
    "resize": 9,
    "epochs": 3,
    "batch_size": 17,
    "accumulate": 2,
    "precision": "bf16",
    "compile": True,
    "channels_last": False,
    "label_smoothing": 0.1,
    "mixup": 0.2,
    "cutmix": 0.2,
    "ema": 0.9,
    "clip_norm": 1.0,
    "draw": 3,
    "evaluate_every": 1,
    "mean": [0.1, 0.1, 0.1],
    "std": [0.1, 0.1, 0.1],
    "optimizer": {"lr": 0.06},
    "schedule": {"name": "constant"},
    "stem": {"strides": [1]},
    "augment": [{"name": "RandomHorizontalFlip"}],
}
SAID = {
    "name": "other",
    "title": "other",
    "source": "other",
    "url": "https://example.org",
    "datasets": ["digits"],
    "workers": 7,
    "smoke": True,
    "baseline": [{"backbone": "mobilenet_v2", "dataset": "digits", "top1": 90.0}],
}


def test_the_hash_covers_each_key_or_says_why_not():
    assert TRAINED.keys() | SAID.keys() == Recipe.model_fields.keys()


@pytest.mark.parametrize("key", TRAINED)
def test_the_hash_covers_what_is_trained(recipe, key):
    assert recipe(**{key: TRAINED[key]}).hash != recipe().hash


@pytest.mark.parametrize("key", SAID)
def test_the_hash_leaves_out_what_is_said_of_it(recipe, key):
    assert recipe(**{key: SAID[key]}).hash == recipe().hash


def test_the_options_of_a_transform_are_hashed(recipe):
    crops = [{"name": "RandomCrop", "size": 8, "padding": padding} for padding in (1, 2)]
    assert recipe(augment=crops[:1]).hash != recipe(augment=crops[1:]).hash


def test_a_default_that_is_written_out_is_the_same_recipe(recipe):
    written = recipe(
        accumulate=1, schedule={"name": "cosine"}, optimizer={"lr": 0.05, "momentum": 0.9}
    )
    assert written.hash == recipe().hash


def test_what_results_on_disk_were_trained_with():
    # defaults are left out of the hash: changing one would keep it, and lie
    assert find_recipe("fashion-mnist").hash == "608c012a8121825a"
    assert Optimizer(lr=1.0).model_dump() == {
        "name": "sgd",
        "lr": 1.0,
        "momentum": 0.9,
        "nesterov": False,
        "weight_decay": 4e-5,
        "norm_weight_decay": 0.0,
    }
    assert Schedule().model_dump() == {
        "name": "cosine",
        "warmup_epochs": 0.0,
        "gamma": 0.98,
        "step_epochs": 30,
    }


BACKBONES = ["mobilenet_v1,width=0.25", "mobilenet_v2,width=0.35", "mobilenet_v3_small"]


def strides(model):
    """Of the convolutions that move by more than one, and of those that did before."""
    return [one.stride[0] for one in model.modules() if isinstance(one, nn.Conv2d)]


def built(name):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return attnbench.create_backbone(name, num_classes=10)


def final_map(model, side):
    """The size of the input of the pooling before the head."""
    found = []
    hooks = [
        one.register_forward_hook(lambda _, __, out: found.append(tuple(out.shape[-2:])))
        for one in model.modules()
        if isinstance(one, nn.Conv2d) and one.kernel_size != (1, 1)
    ]
    with torch.inference_mode():
        model.eval()(torch.zeros(1, 3, side, side))
    for hook in hooks:
        hook.remove()
    return found[-1]


@pytest.mark.parametrize("name", BACKBONES)
@pytest.mark.parametrize(
    ("wanted", "side", "last"),
    [([2, 2, 1, 1, 1], 12, 3), ([1, 1, 2, 2, 2], 32, 4), ([2, 2, 1, 2, 1], 24, 3)],
)
def test_strides_are_set_in_the_networks_order(name, wanted, side, last, recipe):
    model = built(name)
    assert all(stride in (1, 2) for stride in strides(model))
    places = [number for number, stride in enumerate(strides(model)) if stride == 2]
    adapt(model, recipe(stem={"strides": wanted}))
    assert [strides(model)[place] for place in places] == wanted
    others = [one for number, one in enumerate(strides(model)) if number not in places]
    assert set(others) == {1}
    assert final_map(model, side) == (last, last)


def test_strides_that_are_not_named_stay(recipe):
    model = adapt(built(BACKBONES[1]), recipe(stem={"strides": [1]}))
    assert sorted(one for one in strides(model) if one > 1) == [2, 2, 2, 2]
    assert final_map(model, 32) == (2, 2)


def test_weights_stay(recipe):
    model = built(BACKBONES[0])
    before = {key: value.clone() for key, value in model.state_dict().items()}
    assert adapt(model, recipe(stem={"strides": [1, 1, 1, 1, 1]})) is model
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())


def test_a_recipe_without_strides_changes_nothing(recipe):
    model = built(BACKBONES[0])
    before = strides(model)
    assert strides(adapt(model, recipe())) == before


def test_too_many_strides(recipe):
    message = r"recipe tiny: stem\.strides .*got 6.*MobileNetV2 has 5"
    with pytest.raises(RequestError, match=message):
        adapt(built(BACKBONES[1]), recipe(stem={"strides": [1] * 6}))
