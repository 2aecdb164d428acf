"""A user's weights in a placed network."""

import os
import pickle
import shutil
from argparse import Namespace
from collections import OrderedDict
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

import attnbench
from attnbench.errors import RequestError
from attnbench.models.pretrained import Transfer, load_weights, transfer

ONE = torch.ones(1)
SIZE = {"input_size": (1, 3, 32, 32)}


@pytest.fixture(scope="module")
def plain():
    torch.manual_seed(1)
    return attnbench.create_backbone("mobilenet_v3_small", num_classes=7)


@pytest.fixture
def saved(tmp_path):
    def save(content, name="weights.pt"):
        torch.save(content, tmp_path / name)
        return tmp_path / name

    return save


def fresh():
    torch.manual_seed(2)
    return attnbench.create_backbone("mobilenet_v3_small", num_classes=7)


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
    with pytest.raises(RequestError, match="are not a state dict"):
        load_weights(fresh(), tmp_path / "text.pt")
    with pytest.raises(RequestError, match=r"state_dict\(\), FILE\)$"):
        load_weights(fresh(), saved(fresh()))  # a whole pickled module runs code when it is read


def placed(model, placement="after:3,5", module="se", **options):
    return attnbench.insert(model, placement, module, **SIZE, **options)


def ten_classes():
    torch.manual_seed(3)
    return attnbench.create_backbone("mobilenet_v3_small", num_classes=10)


class TestTransfer:
    def test_of_the_plain_backbone_of_other_classes(self, plain, saved):
        model = placed(ten_classes(), "replace:4+after:6", "se,blend=true")
        before = {key: one.clone() for key, one in model.state_dict().items()}
        done = transfer(model, saved(plain.state_dict()))
        old, after = plain.state_dict(), model.state_dict()
        head = {"classifier.3.weight", "classifier.3.bias"}
        assert set(done.fresh) == head | {key for key in after if ".attention." in key}
        assert set(done.dropped) == head | {key for key in old if key.startswith("features.3.")}
        assert done.kept == len(old) - len(done.dropped) == len(after) - len(done.fresh)
        assert done.total == len(after)
        assert (done.head, done.classes) == ("classifier.3", (7, 10))
        for key, value in after.items():
            of_file = key.replace("features.5.block.", "features.5.")
            assert torch.equal(value, before[key] if key in done.fresh else old[of_file]), key
        replaced = len(done.dropped) - 2
        assert str(done) == (
            f"{done.kept} of {done.total} tensors kept; fresh: 10 of inserted modules, 2 of the "
            f"classifier (7 classes there, 10 here); dropped: {replaced} of replaced blocks"
        )

    @pytest.mark.parametrize(
        ("placement", "module"),
        [("after:3,5", "se,blend=true"), ("replace:4", "identity"), ("after:3", "identity")],
    )
    def test_of_a_placed_network(self, plain, saved, placement, module):
        trained, model = (placed(one, placement, module) for one in (plain, fresh()))
        done = transfer(model, saved(trained.state_dict()))
        count = len(trained.state_dict())
        assert done == Transfer(count, count, (), ())
        assert str(done) == f"{count} of {count} tensors kept"
        assert all(torch.equal(model.state_dict()[k], v) for k, v in trained.state_dict().items())

    def test_of_a_placed_network_of_other_classes(self, plain, saved):
        trained, model = placed(plain), placed(ten_classes())
        done = transfer(model, saved(trained.state_dict()))
        assert done.fresh == done.dropped == ("classifier.3.weight", "classifier.3.bias")

    def test_of_a_network_without_its_classifier(self, plain, saved):
        state = {key: one for key, one in plain.state_dict().items() if "classifier.3" not in key}
        done = transfer(fresh(), saved(state))
        assert done.dropped == ()
        assert str(done).endswith("; fresh: 2 of the classifier (none there)")

    def test_of_a_convolution_that_classifies(self, saved):
        old, new = (attnbench.create_backbone("squeezenet1_1", num_classes=n) for n in (7, 10))
        done = transfer(new, saved(old.state_dict()))
        assert (done.head, done.classes) == ("classifier.1", (7, 10))

    def test_without_batch_counts(self, plain, saved):
        state = plain.state_dict()
        counts = [key for key in state if key.endswith("num_batches_tracked")]
        path = saved({key: one for key, one in state.items() if key not in counts})
        done = transfer(fresh(), path)
        assert done.fresh == tuple(counts)
        assert str(done).endswith(f"; fresh: {len(counts)} batch counts")
        assert load_weights(fresh(), path) == "weights.pt"

    @pytest.mark.parametrize(
        ("change", "told"),
        [
            (lambda state: state.pop("features.0.0.weight"), "lacking features.0.0.weight"),
            (lambda state: state.update(other=torch.zeros(1)), "unknown other"),
            (lambda state: state.pop("classifier.3.bias"), "lacking classifier.3.bias"),
            (
                lambda state: state.update({"features.0.1.bias": torch.zeros(9)}),
                r"mismatch for features.0.1.bias: \(9,\) in the file, \(16,\) in the network",
            ),
            (
                lambda state: state.update({"classifier.3.weight": torch.zeros(9, 5)}),
                r"mismatch for classifier.3.weight: \(9, 5\) in the file, \(7, 1024\)",
            ),
        ],
    )
    def test_what_does_not_fit_changes_nothing(self, change, told, plain, saved):
        state, model = plain.state_dict(), placed(fresh())
        before = {key: one.clone() for key, one in model.state_dict().items()}
        change(state)
        with pytest.raises(RequestError, match=told):
            transfer(model, saved(state))
        assert all(torch.equal(before[key], one) for key, one in model.state_dict().items())

    def test_of_another_width_is_refused(self, saved):
        wide, narrow = (attnbench.create_backbone(f"mobilenet_v1,width={w}") for w in (0.5, 0.25))
        with pytest.raises(
            RequestError, match=r"size mismatch for .*: \(16, 3, 3, 3\) in the file"
        ):
            transfer(narrow, saved(wide.state_dict()))

    def test_of_nothing_that_fits(self, saved):
        with pytest.raises(RequestError, match="no tensor of it fits"):
            transfer(
                nn.Sequential(nn.Linear(4, 3)), saved(nn.Sequential(nn.Linear(4, 2)).state_dict())
            )
        with pytest.raises(RequestError, match=r"lacking .* and 2.. more; unknown x.weight"):
            transfer(fresh(), saved({"x.weight": torch.zeros(1)}))

    def test_the_classifier_must_fit_an_export(self, plain, saved):
        with pytest.raises(RequestError, match=r"size mismatch for classifier.3.weight"):
            load_weights(ten_classes(), saved(plain.state_dict()))


class TestWrappings:
    @pytest.mark.parametrize(
        "wrap",
        [
            lambda state: {"state_dict": state, "epoch": 3, "args": Namespace(lr=0.1)},
            lambda state: {"model": state, "model_ema": {"other": torch.zeros(1)}},
            lambda state: {"model_state": state, "optimizer": {"state": {}}},
            lambda state: {"model_state_dict": state},
            lambda state: {"model_ema": prefixed(state, "module.") | {"n_averaged": torch.ones(1)}},
            lambda state: {"state_dict_ema": state},
            lambda state: prefixed(state, "module."),
            lambda state: prefixed(state, "_orig_mod.module."),
            lambda state: prefixed(state, "module._orig_mod."),
            lambda state: {"state_dict": prefixed(state, "backbone.")},
            lambda state: {"state_dict": prefixed(state, "model.module."), "callbacks": {1: {}}},
            lambda state: {"net": state, "acc": np.float64(91.2), "epoch": 200},
            lambda state: {"ema": {"module": state}, "folder": Path("runs")},
            lambda state: {"anything": {"at": {"all": prefixed(state, "encoder.q.")}}},
            lambda state: {**state, "epoch": 3, "note": "text"},
            lambda state: state | {"total_ops": torch.zeros(1), "features.0.total_params": ONE},
            lambda state: {"model": state, "config": Fraction(1, 3)},
            lambda state: {"model": OrderedDict((k, v.half()) for k, v in state.items())},
        ],
    )
    def test_are_taken_off(self, wrap, plain, saved):
        model = fresh()
        done = transfer(model, saved(wrap(plain.state_dict())))
        assert done.kept == done.total
        assert str(done) == f"{done.kept} of {done.total} tensors kept"
        after = model.state_dict()
        assert all(torch.allclose(after[k], v, atol=1e-3) for k, v in plain.state_dict().items())

    def test_in_a_placed_network(self, plain, saved):
        model = placed(fresh(), "replace:4+after:6")
        done = transfer(model, saved({"net": prefixed(plain.state_dict(), "backbone.")}))
        assert done == transfer(model, saved(plain.state_dict()))

    def test_tensors_beside_the_prefix_are_counted(self, plain, saved):
        state = prefixed(plain.state_dict(), "net.") | {"loss.weight": ONE, "scale": ONE}
        done = transfer(fresh(), saved({"state_dict": state}))
        assert str(done).endswith("tensors kept; not used: 2 beside state_dict: net.")

    @pytest.mark.parametrize(
        ("key", "chosen", "others"),
        [("", "model", "model_ema"), (":model_ema", "model_ema", ""), (":model", "model", "")],
    )
    def test_trained_weights_go_before_their_averages(self, key, chosen, others, plain, saved):
        states = {"model_ema": fresh().state_dict(), "model": plain.state_dict()}
        path, model = saved(states), fresh()
        done = transfer(model, Path(f"{path}{key}"))
        assert torch.equal(
            model.state_dict()["classifier.3.bias"], states[chosen]["classifier.3.bias"]
        )
        assert str(done).endswith(f"; from {chosen}, not {others}" if others else "tensors kept")

    def test_weights_beside_their_averages(self, plain, saved):
        path = saved({**plain.state_dict(), "ema": fresh().state_dict()})
        note = "from the file itself, not ema"
        assert str(transfer(fresh(), path)).endswith(f"; {note}")
        assert load_weights(fresh(), path) == f"weights.pt; {note}"

    def test_prefixes_that_fit_are_chosen_from_as_well(self, plain, saved):
        both = prefixed(fresh().state_dict(), "ema_model.") | prefixed(plain.state_dict(), "model.")
        model = fresh()
        transfer(model, saved({"state_dict": both}))
        assert torch.equal(model.classifier[3].bias, plain.classifier[3].bias)
        with pytest.raises(RequestError, match=r"got nothing with tensors under 'student'\."):
            transfer(model, Path(f"{saved({'state_dict': both})}:student"))

    def test_code_in_a_file_is_not_run(self, plain, saved, tmp_path):
        content = {"model": plain.state_dict(), "harm": Harm(tmp_path)}
        model = fresh()
        assert transfer(model, saved(content)).kept == len(plain.state_dict())
        for alone in (content["harm"], content | {"harm": Harm(tmp_path, os.rmdir)}):
            with pytest.raises(RequestError, match="are not a state dict"):
                transfer(model, saved(alone))
        with pytest.raises(RequestError, match="are not a state dict"):
            (tmp_path / "raw.pt").write_bytes(pickle.dumps(content["harm"]))
            transfer(model, tmp_path / "raw.pt")
        assert tmp_path.exists()

    def test_of_another_network_the_keys_are_listed(self, saved):
        path = saved({"state_dict": {"conv1.weight": ONE, "fc.bias": ONE}, "epoch": 3})
        wanted = nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 3))
        with pytest.raises(RequestError) as raised:
            transfer(wanted, path)
        assert str(raised.value) == (
            f"weights {path} are not of this network: lacking 0.bias, 0.weight; unknown "
            "conv1.weight, fc.bias; state_dict has 2 tensors (conv1.weight, fc.bias). Give those "
            "of the plain backbone or of the same placement."
        )

    def test_of_no_tensors_the_keys_are_listed(self, saved):
        with pytest.raises(
            RequestError, match=r"got no tensors in a, b, c, \.\.\. \(4 in all\)\. Save"
        ):
            transfer(fresh(), saved(dict.fromkeys("abcd", 1)))

    def test_a_prefix_of_the_network_itself_stays(self, saved):
        old, new = (nn.Sequential() for _ in range(2))
        for one in (old, new):
            one.add_module("module", nn.Linear(3, 2))
        assert transfer(new, saved(old.state_dict())).kept == 2

    def test_safetensors(self, plain, tmp_path):
        model, path = placed(fresh()), tmp_path / "weights.safetensors"
        save_file(plain.state_dict(), path)
        assert transfer(model, path).kept == len(plain.state_dict())
        assert load_weights(model, path).startswith("weights.safetensors; ")
        path.write_bytes(b"hello")
        with pytest.raises(RequestError, match="are not a state dict"):
            transfer(model, path)
        with pytest.raises(RequestError, match="cannot be read: No such file"):
            transfer(model, tmp_path / "none.safetensors")


def prefixed(state, prefix):
    return {f"{prefix}{key}": value for key, value in state.items()}


class Harm:
    """An object whose pickle removes a folder when it is read."""

    def __init__(self, folder, call=shutil.rmtree):
        self.folder, self.call = folder, call

    def __reduce__(self):
        return self.call, (str(self.folder),)
