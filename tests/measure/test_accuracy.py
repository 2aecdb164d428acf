"""Trainings for real, on computed pictures: what is paired by a seed is the same bit for bit."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from attnbench import Card
from attnbench.datasets.registry import load
from attnbench.errors import MissingExtraError, RequestError, UnknownNameError
from attnbench.measure.accuracy import AccuracyMeter
from attnbench.measure.cost import CostMeter
from attnbench.models.backbones import create_backbone
from attnbench.models.block_layers import Inserted
from attnbench.registry.plugins import Catalog, catalog
from attnbench.registry.registry import Entry
from attnbench.suites.case import Training
from attnbench.suites.plan import make_case
from attnbench.training.dataloader import MemoryFeed, feed
from attnbench.training.evaluate import predict
from attnbench.training.loop import train
from attnbench.training.recipe import adapt, find_recipe
from attnbench.training.seeds import backbone_seed
from attnbench.utils.bitmask import unpack

DATA = "synthetic,classes=4,count=64"
WIDTH = 0.1
BACKBONES = ["mobilenet_v1", "mobilenet_v2", "mobilenet_v3_small"]
KEPT = ["after:3,8", "after-depthwise:4", "after-project:5", "after:6+after-depthwise:6,7"]
REPLACED = [
    ("mobilenet_v1", "replace:8-10"),
    ("mobilenet_v2", "replace:14,17"),
    ("mobilenet_v3_small", "replace:4"),
    ("mobilenet_v3_small", "replace-se:5,9"),
]


class Still(nn.Identity):
    """The identity with an official place."""

    card = Card(
        title="Still", family="parameter-free", official={"*": "after:3", "mobilenet_v2": "after:5"}
    )

    def __init__(self, channels):
        super().__init__()


class Noisy(nn.Module):
    """The identity, but it draws random numbers when it is built and whenever it is called."""

    def __init__(self, channels):
        super().__init__()
        self.unused = nn.Linear(channels, channels)
        self.drop = nn.Dropout(0.5)

    def forward(self, x):
        return x + 0 * self.drop(self.unused(x.mean((2, 3)))).sum() * torch.rand(3).sum()


@pytest.fixture(scope="module")
def meter():
    own = Catalog()
    own.modules.restore(catalog().modules.entries())
    for name, module in (("still", Still), ("noisy", Noisy)):
        own.modules.add(Entry(name=name, target=module, origin="here"))
    return AccuracyMeter(CostMeter(own))


@pytest.fixture(scope="module")
def case(meter, recipe):
    """Return ``case("mobilenet_v2", "se", "after:5", seed=1)``."""

    def made(backbone, module=None, placement=None, **training):
        one = make_case(
            meter.cost.catalog, backbone=backbone, module=module, placement=placement, size=16
        )
        return one.for_training(Training(**{"dataset": DATA, "recipe": recipe, **training}), 16)

    return made


def narrow(name):
    return f"{name},width={WIDTH}"


@pytest.fixture(scope="module")
def ran(meter, case, tmp_path_factory):
    """Train, and return what the record says and the weights; each case once."""
    known = {}

    def made(*words, **training):
        one = case(*words, **training)
        if one not in known:
            path = tmp_path_factory.mktemp("weights") / "weights.pt"
            facts = meter.measure(one, save=path)
            known[one] = (facts, torch.load(path, weights_only=True))
        return known[one]

    return made


def placed(key, model):
    """Return where a weight of the plain network is in one with modules."""
    for path, one in model.named_modules():  # outer ones first
        if isinstance(one, Inserted) and key.startswith(f"{path}."):
            key = f"{path}.block.{key.removeprefix(f'{path}.')}"
    return key


def same(one, other):
    return one.dtype == other.dtype and torch.equal(one, other)


def results(facts):
    """What a training gave, without times."""
    kept = ("curve", "correct", "images", "classes", "threads")
    return facts["values"], {key: facts["training"][key] for key in kept}


@pytest.mark.parametrize("name", BACKBONES)
class TestPairing:
    @pytest.mark.parametrize("placement", KEPT)
    def test_an_arm_with_the_identity_is_the_plain_backbone(
        self, meter, case, ran, name, placement
    ):
        self.check(meter, case, ran, narrow(name), "identity", placement)

    def test_so_is_one_at_its_official_place(self, meter, case, ran, name):
        self.check(meter, case, ran, narrow(name), "still", "official")

    def test_and_one_that_draws_random_numbers(self, meter, case, ran, name):
        self.check(meter, case, ran, narrow(name), "noisy", "after:3,8")

    @staticmethod
    def check(meter, case, ran, backbone, module, placement):
        plain, weights = ran(backbone)
        facts, own = ran(backbone, module, placement)
        assert results(facts) == results(plain)
        assert plain["values"]["steps"] == 4
        assert facts["slots"]
        model = meter.network(case(backbone, module, placement))
        keys = {key: placed(key, model) for key in weights}
        assert any(key != value for key, value in keys.items())
        assert all(same(weights[key], own[keys[key]]) for key in weights)
        left = own.keys() - keys.values()
        assert all(".attention." in key for key in left)

    def test_arms_of_a_seed_start_from_the_same_backbone(self, meter, case, name):
        backbone = narrow(name)
        plain = meter.network(case(backbone)).state_dict()
        for module, placement in (("cbam", "after:3,8"), ("noisy", "after-depthwise:4")):
            arm = meter.network(case(backbone, module, placement))
            own = arm.state_dict()
            assert all(same(plain[key], own[placed(key, arm)]) for key in plain)
        assert any(
            not torch.equal(plain[key], other)
            for key, other in meter.network(case(backbone, seed=1)).state_dict().items()
        )

    def test_and_see_the_same_batches(self, meter, case, name, monkeypatch):
        seen = {}
        right = MemoryFeed.training

        def watched(self, seed, epoch, first=0):
            for images, targets in right(self, seed, epoch, first):
                batches.append((images.clone(), targets.clone()))
                yield images, targets

        monkeypatch.setattr(MemoryFeed, "training", watched)
        backbone = narrow(name)
        for arm in (case(backbone), case(backbone, "noisy", "after:3,8"), case(backbone, seed=1)):
            batches = []
            meter.measure(arm)
            seen[arm] = batches
        plain, noisy, other = seen.values()
        assert len(plain) == len(noisy) == 4
        for one, two in zip(plain, noisy, strict=True):
            assert all(map(torch.equal, one, two))
        assert not torch.equal(plain[0][0], other[0][0])


@pytest.mark.parametrize(("name", "placement"), REPLACED)
def test_where_blocks_are_replaced_it_is_the_backbone_without_them(ran, recipe, name, placement):
    backbone = narrow(name)
    facts, weights = ran(backbone, "identity", placement)
    torch.manual_seed(backbone_seed(0))
    by_hand = adapt(create_backbone(f"{backbone},num_classes=4"), find_recipe(recipe))
    for slot in facts["slots"]:
        by_hand.set_submodule(slot["path"], nn.Identity())
    found = train(by_hand.train(), load(DATA), find_recipe(recipe), 0)
    own = by_hand.state_dict()
    assert own.keys() == weights.keys()
    assert all(same(own[key], weights[key]) for key in own)
    assert (found.top1, found.loss) == (facts["values"]["top1"], facts["values"]["loss"])
    assert found.curve == facts["training"]["curve"]
    bits = unpack(facts["training"]["correct"], 16)
    assert (bits == found.correct).all()


def test_a_network_of_other_outputs_is_refused_before_it_is_trained(meter, case, monkeypatch):
    monkeypatch.setattr(
        "attnbench.measure.accuracy._built", lambda *_: create_backbone("mobilenet_v1", width=0.25)
    )
    with pytest.raises(RequestError, match=r"shape \(1, 1000\) for .*: must return \(1, 4\)"):
        meter.check(case("mobilenet_v1,width=0.2"))


def test_modules_of_a_seed_start_alike_wherever_others_are(meter, case):
    backbone = narrow("mobilenet_v2")
    one = meter.network(case(backbone, "cbam", "after:8"))
    two = meter.network(case(backbone, "cbam", "after:3,8"))
    mine, its = (dict(model.named_parameters()) for model in (one, two))
    keys = [key for key in mine if ".attention." in key]
    assert keys
    assert all(torch.equal(mine[key], its[key]) for key in keys)
    other = dict(meter.network(case(backbone, "cbam", "after:8", seed=1)).named_parameters())
    assert any(not torch.equal(mine[key], other[key]) for key in keys)


def test_classes_come_from_the_data(meter, case):
    for backbone in ("mobilenet_v2,width=0.1,num_classes=77", "mobilenet_v2,width=0.1"):
        assert meter.network(case(backbone))(torch.zeros(2, 3, 16, 16)).shape == (2, 4)


def test_blended_arms_start_where_the_pretrained_backbone_is(meter, case, ran, tmp_path, recipe):
    backbone = narrow("mobilenet_v2")
    _, state = ran(backbone)
    path = tmp_path / "trained.pt"
    torch.save(state, path)
    # one step of a learning rate that is nearly nothing
    still = tmp_path / "still.toml"
    text = (
        Path(recipe).read_text().replace("lr = 0.05", "lr = 1e-30").replace("onecycle", "constant")
    )
    still.write_text(text.replace("epochs = 2", "epochs = 1"))
    started = {}
    for module, placement in ((None, None), ("bam,blend=true", "after:3,8")):
        one = case(backbone, module, placement, weights=str(path), recipe=str(still))
        started[module] = meter.measure(one)
    plain, arm = started.values()
    assert arm["values"] == plain["values"]
    assert arm["training"]["correct"] == plain["training"]["correct"]
    assert plain["training"]["weights"].startswith(f"{len(state)} of {len(state)} tensors kept")
    assert "of inserted modules" in arm["training"]["weights"]


def test_a_blended_arm_has_the_logits_of_the_pretrained_backbone(
    meter, case, ran, tmp_path, recipe
):
    from attnbench.models.pretrained import transfer

    backbone = narrow("mobilenet_v3_small")
    _, state = ran(backbone)
    path = tmp_path / "trained.pt"
    torch.save(state, path)
    test = feed(load(DATA).test, find_recipe(recipe))
    logits = []
    for module, placement in ((None, None), ("ulsam,blend=true", "after:3,8")):
        model = meter.network(case(backbone, module, placement))
        transfer(model, path)
        logits.append(predict(model, test)[0])
    assert torch.equal(*logits)
    fresh = predict(meter.network(case(backbone)), test)[0]
    assert not torch.equal(fresh, logits[0])


def test_evidence(meter, case, ran, recipe):
    facts, _ = ran(narrow("mobilenet_v2"), "identity", "after:3,8")
    training = facts["training"]
    bits = unpack(training["correct"], training["images"][1])
    assert facts["values"]["top1"] == 100 * bits.mean()
    assert facts["values"]["top5"] is None  # of four classes
    assert (training["images"], training["classes"], training["synthetic"]) == ([64, 16], 4, True)
    assert training["recipe"]["hash"] == find_recipe(recipe).hash
    assert [entry["epoch"] for entry in training["curve"]] == [1, 2]
    assert facts["values"]["loss"] == training["curve"][-1]["loss"]
    assert [slot["layer"] for slot in facts["slots"]] == [3, 8]


def test_int8_comes_with_its_bits(meter, case):
    facts = meter.measure(case(narrow("mobilenet_v1"), "se", "after:5", int8=True))
    bits = unpack(facts["training"]["int8_correct"], 16)
    assert facts["values"]["int8_top1"] == 100 * bits.mean()


class TestMistakes:
    def test_a_data_set_that_is_not_here(self, meter, case, tmp_path, monkeypatch):
        monkeypatch.setenv("ATTNBENCH_DATA", str(tmp_path))
        with pytest.raises(MissingExtraError) as caught:
            meter.check(case("mobilenet_v2", dataset="cifar10"))
        assert "https://" in str(caught.value)
        assert str(tmp_path) in str(caught.value)

    @pytest.mark.parametrize(
        ("wrong", "error", "text"),
        [
            ({"recipe": "digits-quik"}, UnknownNameError, "digits-quick"),
            ({"recipe": "nowhere.toml"}, RequestError, r"nowhere\.toml"),
            ({"dataset": "digist"}, UnknownNameError, "digits"),
            ({"dataset": "synthetic,colour=2"}, RequestError, "colour"),
            ({"weights": "nowhere.pt"}, RequestError, r"nowhere\.pt"),
        ],
    )
    def test_said_before_anything_is_trained(self, meter, case, wrong, error, text):
        with pytest.raises(error, match=text):
            meter.check(case("mobilenet_v2", **wrong))

    def test_a_placement_that_cannot_be(self, meter, case):
        with pytest.raises(RequestError, match="layer 40"):
            meter.check(case("mobilenet_v2", "se", "after:40"))

    def test_a_case_that_is_not_trained(self, meter, case):
        with pytest.raises(RequestError, match="mobilenet_v2"):
            meter.check(replace(case("mobilenet_v2"), training=None))

    def test_weights_of_another_network(self, meter, case, tmp_path):
        path = tmp_path / "other.pt"
        torch.save(create_backbone("mobilenet_v2,width=0.35").state_dict(), path)
        with pytest.raises(RequestError, match=r"other\.pt"):
            meter.check(case(narrow("mobilenet_v2"), weights=str(path)))
