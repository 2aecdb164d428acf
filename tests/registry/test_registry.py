import importlib
import runpy
import subprocess
import sys
from textwrap import dedent

import pytest
from torch import nn

import attnbench
from attnbench.errors import DuplicateNameError, PluginError, UnknownNameError
from attnbench.models.backbones import create_backbone
from attnbench.registry.attention import find_attention
from attnbench.registry.plugins import catalog, register
from attnbench.registry.registry import Entry, Registry
from attnbench.utils.text import describe, origin_of, shown_path


def modules_after(code):
    """Names of all Python modules that a fresh interpreter has after ``code``."""
    ask = "import sys; print(*sys.modules)"
    ran = subprocess.run(
        [sys.executable, "-c", f"{code}\n{ask}"], capture_output=True, text=True, check=True
    )
    return ran.stdout.split()


class TestLazy:
    @pytest.mark.parametrize(
        "code",
        [
            "import attnbench",
            "import attnbench; assert 'ulsam' in attnbench.list_modules()",
            "import attnbench; assert 'se' in attnbench.list_modules('@family:channel')",
            "import attnbench; assert dir(attnbench) and attnbench.Card and attnbench.RecordError",
            "from attnbench.registry.plugins import catalog; assert 'se' in catalog().modules.names()",
            "from attnbench.registry.plugins import catalog; assert catalog().suites.names()",
            "from attnbench.registry.plugins import catalog; assert catalog().modules.entry('se').title",
            "from attnbench.registry.backbone_names import BACKBONES, FAMILIES",
            "from attnbench.registry.placement_grammar import parse_placement; parse_placement('after:3')",
            "import attnbench.registry.attention, attnbench.suites.load",
        ],
    )
    def test_names_need_no_torch(self, code):
        assert not {"torch", "torchvision", "timm"} & set(modules_after(code))

    def test_the_test_above_can_fail(self):
        assert "torch" in modules_after("import attnbench; attnbench.create_module('identity', 8)")

    def test_unknown_attribute_of_the_package(self):
        with pytest.raises(AttributeError, match="no attribute 'creat'"):
            attnbench.creat  # noqa: B018


class TestUnknownNames:
    @pytest.mark.parametrize(
        ("asked", "meant"),
        [("cmab", "cbam"), ("ulsma", "ulsam"), ("nonlocal", "non_local"), ("Bam", "bam")],
    )
    def test_near_misses_are_suggested(self, asked, meant):
        with pytest.raises(UnknownNameError, match=f"Did you mean .*{meant!r}"):
            find_attention(asked)

    def test_nothing_near_lists_all(self):
        with pytest.raises(UnknownNameError) as caught:
            find_attention("xyzzy")
        text = str(caught.value)
        assert "Did you mean" not in text
        assert all(name in text for name in catalog().modules.names())
        assert "--plugin FILE" in text

    @pytest.mark.parametrize("name", ["mobilenet_v2", "mobilenet_v1", "timm:mobilenetv1_100"])
    def test_backbone_asked_for_as_module(self, name):
        with pytest.raises(UnknownNameError, match=f"it is a backbone: write -b {name}"):
            find_attention(name)

    def test_module_asked_for_as_backbone(self):
        with pytest.raises(UnknownNameError, match="it is a module: write -m ulsam"):
            create_backbone("ulsam")

    def test_suite_asked_for_as_module_or_backbone(self):
        with pytest.raises(UnknownNameError, match="it is a suite: attnbench run quick"):
            find_attention("quick")
        with pytest.raises(UnknownNameError, match="it is a suite: attnbench run quick"):
            create_backbone("quick")

    def test_text_is_one_line_and_not_a_repr(self):
        # KeyError, which LookupErrors often are, would show its message quoted
        with pytest.raises(UnknownNameError) as caught:
            find_attention("xyzzy")
        assert str(caught.value).startswith("unknown module 'xyzzy'.")
        assert "\n" not in str(caught.value)


class Mine(nn.Module):
    def __init__(self, channels, *, groups=1):
        super().__init__()

    def forward(self, x):
        return x


class Other(Mine):
    pass


def factory(channels, *, groups=2):
    return Mine(channels)


class TestDecorator:
    def test_registers_class_and_factory_and_returns_them(self, fresh):
        assert register("mine", title="Mine", family="spatial", year=2026)(Mine) is Mine
        assert register("made")(factory) is factory
        assert fresh.modules.names() == ["made", "mine"]
        entry = fresh.modules.entry("mine")
        assert (entry.title, entry.family, entry.year) == ("Mine", "spatial", 2026)
        assert entry.origin == origin_of(Mine)
        assert ":" in entry.origin
        assert find_attention("made,groups=3", fresh).options == {"groups": 3}

    def test_card_fills_the_listing(self, fresh):
        class Carded(Mine):
            card = attnbench.Card(title="Carded", family="channel")

        register("carded")(Carded)
        assert fresh.modules.entry("carded").title == "Carded"
        assert fresh.modules.entry("carded").family == "channel"

    def test_duplicate_names_both_origins_and_the_first_stays(self, fresh):
        register("mine")(Mine)
        with pytest.raises(DuplicateNameError) as caught:
            register("mine")(Other)
        assert origin_of(Mine) in str(caught.value)
        assert origin_of(Other) in str(caught.value)
        assert fresh.modules.get("mine") is Mine
        register("other")(Other)  # the author renames and goes on
        assert fresh.modules.names() == ["mine", "other"]

    def test_shipped_name_is_taken(self):
        with pytest.raises(DuplicateNameError, match=r"'se' is registered twice: by attnbench \("):
            register("se")(Mine)
        assert find_attention("se").factory.__name__ == "SE"

    def test_same_object_again(self, fresh):
        register("mine")(Mine)
        register("mine")(Mine)
        assert fresh.modules.names() == ["mine"]

    def test_notebook_cell_executed_again(self, fresh):
        cell = """
            from attnbench import register
            from torch import nn

            @register("celled")
            class Celled(nn.Module):
                def __init__(self, channels, *, groups={default}):
                    super().__init__()

                def forward(self, x):
                    return x
            """
        for default in (1, 2):
            exec(dedent(cell.format(default=default)), {"__name__": "__main__"})
        assert find_attention("celled", fresh).options == {"groups": 2}

    def test_reloaded_module(self, fresh, write, monkeypatch, tmp_path):
        text = """
            import attnbench
            from torch import nn

            @attnbench.register("reloaded")
            class Reloaded(nn.Identity):
                def __init__(self, channels):
                    super().__init__()
            """
        write("my_reloaded_module.py", text)
        monkeypatch.syspath_prepend(tmp_path)
        module = importlib.import_module("my_reloaded_module")
        first = module.Reloaded
        importlib.reload(module)
        assert module.Reloaded is not first
        assert fresh.modules.get("reloaded") is module.Reloaded

    def test_script_that_is_also_a_plugin_file(self, fresh, write):
        text = """
            import attnbench
            from torch import nn

            @attnbench.register("scripted")
            class Scripted(nn.Identity):
                def __init__(self, channels):
                    super().__init__()
            """
        path = write("script.py", text)
        runpy.run_path(str(path), run_name="__main__")
        assert "scripted" in fresh.modules
        assert fresh.load_file(path).Scripted is fresh.modules.get("scripted")

    def test_lazy_entry_loaded_and_then_decorated(self, fresh):
        target = f"{Mine.__module__}:{Mine.__qualname__}"
        fresh.modules.add(Entry(name="mine", target=target, origin="dist (table)"))
        register("mine")(Mine)
        assert fresh.modules.get("mine") is Mine


class TestRegistry:
    def test_lazy_target_is_imported_once(self):
        calls = []
        registry = Registry("thing", load=lambda target: calls.append(target) or target.upper())
        registry.add(Entry(name="a", target="x:y", origin="here"))
        assert registry.names() == ["a"]
        assert calls == []
        assert registry.get("a") is not None
        with_object = Registry("thing")
        with_object.add(Entry(name="b", target=3.5, origin="here"))
        assert with_object.get("b") == 3.5

    def test_failing_target_names_origin_and_reason(self):
        registry = Registry("module")
        registry.add(Entry(name="a", target="nowhere.at.all:X", origin="dist (table)"))
        with pytest.raises(
            PluginError, match=r"'a' of dist \(table\) cannot be loaded .*No module named"
        ):
            registry.get("a")

    def test_target_that_exits_the_interpreter(self):
        def load(target):
            raise SystemExit(3)

        registry = Registry("module", load=load)
        registry.add(Entry(name="a", target="x:y", origin="here"))
        with pytest.raises(PluginError, match="SystemExit: 3"):
            registry.get("a")

    def test_contains_and_restore(self):
        registry = Registry("thing")
        registry.add(Entry(name="a", target=1.5, origin="here"))
        before = registry.entries()
        registry.add(Entry(name="b", target=2.5, origin="here"))
        assert "b" in registry
        registry.restore(before)
        assert "b" not in registry
        assert registry.names() == ["a"]


class TestTexts:
    def test_describe_is_one_line(self):
        assert describe(ValueError("first\nsecond")) == "ValueError: first"
        assert describe(KeyboardInterrupt()) == "KeyboardInterrupt"

    def test_paths_are_relative_below_the_current_folder(self, monkeypatch, tmp_path):
        monkeypatch.chdir(tmp_path)
        assert shown_path(tmp_path / "a" / "b.py") == "a/b.py"
        assert shown_path("/elsewhere/b.py") == "/elsewhere/b.py"

    def test_origin_without_source(self):
        assert origin_of(len) == "builtins"
        assert origin_of(object()) == "object"
