"""Runtimes by name, without torch, and a third party's."""

import subprocess
import sys

import pytest

from attnbench.errors import DuplicateNameError, PluginError, RequestError, UnknownNameError
from attnbench.runtimes import registry
from attnbench.runtimes.runtime import BuiltModel, Runtime, RuntimeBase, RuntimeSettings, check

ORDER = ["eager", "eager-channels-last", "compile", "onnxruntime", "openvino", "executorch"]


@pytest.fixture(autouse=True)
def forget():
    before = registry._registry().entries()
    yield
    registry._registry().restore(before)


class Mine(RuntimeBase):
    name = "mine"
    title = "Mine"
    packages = ("surely-not-installed",)
    extra = None

    def build(self, model, example, settings, folder):
        return BuiltModel(lambda: model(example), model, None, 0.0)


def test_order():
    assert registry.runtimes() == ORDER


@pytest.mark.parametrize("name", ORDER)
def test_each_is_a_runtime_that_can_be_used_here(name):
    found = registry.runtime(name)
    assert isinstance(found, Runtime)
    assert found.name == name and found.missing() is None
    described = registry.describe_runtime(name)
    assert described["available"] and all(described["versions"].values())


def test_listing_imports_no_torch():
    code = (
        "import sys\n"
        "from attnbench.runtimes.registry import describe_runtime, runtimes\n"
        "assert len([describe_runtime(name) for name in runtimes()]) == 6\n"
        "heavy = {'torch', 'onnxruntime', 'openvino', 'executorch', 'numpy'} & set(sys.modules)\n"
        "sys.exit(', '.join(heavy) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_an_unknown_one_is_told_with_a_suggestion():
    with pytest.raises(UnknownNameError, match="Did you mean 'onnxruntime'"):
        registry.runtime("onnx-runtime")


def test_a_third_party_registers_a_class():
    registry.register_runtime("mine", Mine)
    assert registry.runtimes() == [*ORDER, "mine"]
    assert isinstance(registry.runtime("mine"), Mine)


def test_a_decorator_registers_as_well():
    assert registry.register_runtime("mine")(Mine) is Mine
    assert isinstance(registry.runtime("mine"), Mine)


def test_a_place_is_imported_when_it_is_used():
    registry.register_runtime("mine", "attnbench.runtimes.eager:Eager")
    assert registry.runtime("mine").title == "PyTorch eager"
    registry.register_runtime("broken", "no_such_package:Runtime")
    with pytest.raises(PluginError, match="no_such_package"):
        registry.runtime("broken")
    assert "no_such_package" in registry.describe_runtime("broken")["missing"]


def test_a_taken_name_and_an_incomplete_class_are_refused():
    with pytest.raises(DuplicateNameError):
        registry.register_runtime("eager", Mine)
    with pytest.raises(PluginError, match=r"lacks .*build"):
        registry.register_runtime("half", type("Half", (), {"name": "half"}))


def test_a_missing_package_is_named_with_the_way_out():
    assert Mine().missing() == (
        "surely-not-installed is not installed: pip install surely-not-installed"
    )
    extra = type("Extra", (Mine,), {"extra": "openvino"})()
    assert extra.missing().endswith("pip install 'attnbench[openvino]'")


def test_no_compiler_is_told(monkeypatch):
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.setenv("PATH", "")
    assert "C++ compiler" in registry.runtime("compile").missing()


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        (RuntimeSettings(precision="int8"), r"precision .* eager: got 'int8'\. .* fp32, bf16"),
        (RuntimeSettings(device="tpu:0"), r"device .* eager: got 'tpu:0'\. .* cpu, cuda"),
        (RuntimeSettings(threads=0), "threads .* got 0"),
    ],
)
def test_settings_that_a_runtime_lacks_are_refused(settings, told):
    with pytest.raises(RequestError, match=told):
        check(registry.runtime("eager"), settings)
