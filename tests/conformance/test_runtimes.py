"""Modules that runtimes cannot take, or take for another."""

import copy

import pytest
import torch

from attnbench.conformance import runtime_export

from .clean import Clean, assert_found, findings, statuses

pytestmark = pytest.mark.usefixtures("operators_translated_once")
RUNTIMES = {"onnx": "onnxruntime", "openvino": "openvino", "executorch": "executorch"}


@pytest.fixture(params=RUNTIMES)
def check(request):
    assert runtime_export.runtime(RUNTIMES[request.param]).missing() is None
    return request.param


class AnotherWhenExported(Clean):
    """Has a form for exporters that is not the same, and has an operator few runtimes know."""

    def forward(self, x):
        return x.cumsum(1) if torch.compiler.is_exporting() else super().forward(x)


class NoOperator(Clean):
    """No runtime has this decomposition."""

    def gate(self, x):
        flat = x.flatten(2)
        return torch.linalg.eigvalsh(torch.bmm(flat, flat.transpose(1, 2)))[..., None, None]


class WrongForm(Clean):
    """Its inference form alone is wrong."""

    def fuse(self):
        form = copy.deepcopy(self)
        with torch.no_grad():
            form.excite.bias.add_(0.1)
        return form


def test_another_output_is_found_and_operators_left_out_are_named(check):
    found = findings(AnotherWhenExported, check)
    (bad,) = [one for one in found if one.status == "broken"]
    assert "the output of the plain form at 1x64x14x14 in" in bad.reason and bad.remedy
    notes = [one for one in found if one.status == "note"]
    if check == "executorch":
        assert notes[0].reason.endswith(": aten.cumsum not delegated (1 time)")
        assert notes[0].values["fallbacks"] == {"aten.cumsum not delegated": 1}


def test_what_has_no_operator_is_found():
    assert_found(NoOperator, "onnx", "the plain form at 1x64x14x14 cannot be built")


def test_the_wrong_form_alone_is_named():
    (bad,) = [one for one in findings(WrongForm, "onnx") if one.status == "broken"]
    assert "the output of the inference form at 1x64x14x14" in bad.reason
    assert bad.values["error"] > 1e-3


def test_clean_module_passes(check):
    (found,) = findings(Clean, check)
    assert found.status == "ok" and found.values["errors"]["plain"] < 1e-5


@pytest.mark.parametrize("check", ["onnx", "openvino", "executorch", "inductor"])
def test_a_runtime_that_is_missing_is_skipped(check, monkeypatch):
    class Missing:
        def missing(self):
            return "it is not installed: pip install 'attnbench[it]'"

    monkeypatch.setattr(runtime_export, "runtime", lambda name: Missing())
    (found,) = findings(Clean, check)
    assert (found.status, found.reason) == ("skipped", "it is not installed")
    assert found.remedy == "Pip install 'attnbench[it]'."


class OneHead(Clean):
    """Cannot be built at 64 channels."""

    def __init__(self, channels):
        if channels == 64:
            raise ValueError("not 64")
        super().__init__(channels)


def test_its_own_place_where_the_usual_one_is_not_allowed_and_threads_as_before():
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        assert statuses(OneHead, "onnx") == ["ok"]
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)
