"""Modules that runtimes, the compiler or 8 bits cannot take, or take for another."""

import copy

import pytest
import torch

from attnbench.conformance import runtime_export
from attnbench.conformance.runtime_export import ExportOutcome
from attnbench.runtimes.registry import runtime

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


class AnotherWhenCompiled(Clean):
    def forward(self, x):
        return x if torch.compiler.is_compiling() else super().forward(x)


@pytest.mark.skipif(runtime("compile").missing() is not None, reason="needs a C++ compiler")
def test_inductor():
    before = torch._dynamo.config.recompile_limit, torch.get_num_threads()
    assert_found(AnotherWhenCompiled, "inductor", "the plain form at 1x64x14x14 in torch.compile")
    assert statuses(Clean, "inductor") == ["ok"]
    assert before == (torch._dynamo.config.recompile_limit, torch.get_num_threads())


@pytest.fixture(autouse=True)
def _one_runtime(monkeypatch):
    """ONNX Runtime alone: ExecuTorch's quantiser takes seconds a module."""
    monkeypatch.setattr(runtime_export, "_INT8_RUNTIMES", ("onnxruntime",))


class FarFromZero(Clean):
    """Adds and takes away what 8 bits cannot hold beside the map."""

    def forward(self, x):
        far = super().forward(x) + 1000
        return far.relu() - 1000


class SomewhatFar(Clean):
    def forward(self, x):
        far = super().forward(x) + 100
        return far.relu() - 100


def test_what_8_bits_cannot_hold_is_found():
    assert_found(FarFromZero, "int8", "dB of signal over noise")


def test_what_cannot_be_quantised_is_found(monkeypatch):
    def failed(name, form, precision):
        return ExportOutcome(form, failure="no such operator: eigh")

    monkeypatch.setattr(runtime_export, "build_form", failed)
    assert_found(Clean, "int8", "cannot be quantised by ONNX Runtime: no such operator: eigh")
    monkeypatch.setattr(runtime_export, "_INT8_RUNTIMES", ("executorch",))
    monkeypatch.setattr(runtime_export, "find_missing", lambda name: None)
    noted, _ = findings(Clean, "int8")
    assert noted.status == "note" and "by ExecuTorch (XNNPACK)" in noted.reason


def test_what_is_near_the_edge_is_noted():
    found = findings(SomewhatFar, "int8")
    assert [one.status for one in found] == ["note", "ok"]
    assert 5 < found[0].values["sqnr_db"] < 20


def test_clean_module_keeps_its_output_in_int8():
    (found,) = findings(Clean, "int8")
    assert found.status == "ok" and found.values["sqnr_db"]["onnxruntime, plain"] > 30
