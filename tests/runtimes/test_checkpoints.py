"""A user's weights in a placed network."""

import pytest
import torch

import attnbench
from attnbench.errors import RequestError
from attnbench.runtimes.checkpoints import load_weights

SIZE = {"input_size": (1, 3, 32, 32)}


@pytest.fixture(scope="module")
def plain():
    torch.manual_seed(1)
    return attnbench.backbone("mobilenet_v3_small", num_classes=7)


@pytest.fixture
def saved(tmp_path):
    def save(content, name="weights.pt"):
        torch.save(content, tmp_path / name)
        return tmp_path / name

    return save


def fresh():
    torch.manual_seed(2)
    return attnbench.backbone("mobilenet_v3_small", num_classes=7)


def test_of_the_same_network(plain, saved):
    trained = attnbench.insert(plain, "after:3,5", "se", **SIZE)
    model = attnbench.insert(fresh(), "after:3,5", "se", **SIZE)
    assert load_weights(model, saved({"state_dict": trained.state_dict()})) == "weights.pt"
    assert all(torch.equal(model.state_dict()[k], v) for k, v in trained.state_dict().items())


def test_of_the_plain_backbone(plain, saved):
    model = attnbench.insert(fresh(), "after:3,5", "se", **SIZE)
    attention = {k: v.clone() for k, v in model.state_dict().items() if ".attention." in k}
    note = load_weights(model, saved(plain.state_dict()))
    assert f"{len(attention)} tensors of inserted modules" in note
    wanted = attnbench.insert(plain, "after:3,5", "identity", **SIZE).state_dict()
    assert all(torch.equal(model.state_dict()[key], value) for key, value in wanted.items())
    assert all(torch.equal(model.state_dict()[key], value) for key, value in attention.items())


def test_of_replaced_blocks_are_dropped(plain, saved):
    model = attnbench.insert(fresh(), "replace:4", "se", **SIZE)
    note = load_weights(model, saved(plain.state_dict()))
    assert "stay random" in note
    kept = [key for key in model.state_dict() if ".attention." not in key]
    assert len(kept) < len(plain.state_dict())
    assert all(torch.equal(model.state_dict()[key], plain.state_dict()[key]) for key in kept)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda state: state.pop("classifier.3.bias"), "lacking classifier.3.bias"),
        (lambda state: state.update(other=torch.zeros(1)), "unknown other"),
        (
            lambda state: state.update({"classifier.3.bias": torch.zeros(9)}),
            "size mismatch for classifier.3.bias",
        ),
        (lambda state: state.update(note="text"), "not a state dict"),
    ],
)
def test_what_does_not_fit_is_told(change, told, plain, saved):
    state = plain.state_dict()
    change(state)
    with pytest.raises(RequestError, match=told):
        load_weights(fresh(), saved(state))


def test_files_that_are_none(plain, saved, tmp_path):
    with pytest.raises(RequestError, match="No such file"):
        load_weights(fresh(), tmp_path / "none.pt")
    (tmp_path / "text.pt").write_text("hello")
    with pytest.raises(RequestError, match="are no state dict"):
        load_weights(fresh(), tmp_path / "text.pt")
    with pytest.raises(RequestError, match="are no state dict"):
        load_weights(fresh(), saved(fresh()))  # a whole pickled module runs code when it is read
