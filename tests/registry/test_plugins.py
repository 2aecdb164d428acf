import pickle
import sys
from types import SimpleNamespace

import pytest
import torch
from attnbench_suites import SUITES

from attnbench.errors import DuplicateNameError, PluginError, RequestError
from attnbench.registry.attention import find_attention
from attnbench.registry.plugins import Catalog, PluginFailure, catalog
from attnbench.suites.load import find_suite, parse_suite
from attnbench.suites.plan import plan

REGISTERED = """
import attnbench
from torch import nn

@attnbench.register("mine")
class Mine(nn.Identity):
    def __init__(self, channels):
        super().__init__()
"""


class TestInstalled:
    def test_shipped_plugins_are_whole(self):
        assert catalog().failures == []
        assert {"identity", "ulsam", "se"} <= set(catalog().modules.names())
        assert {"quick", "ulsam-table1"} <= set(catalog().suites.names())

    def test_shipped_suites_are_those_of_attnbench_itself(self, install, write):
        assert catalog().shipped_suites() == sorted(SUITES)
        write("one.toml", "[suite]\nname = 'one'\ntitle = 'One'\n")
        found = install(good="TABLE = {'one': 'good:one.toml'}")
        assert found.suites.names() == ["one"] and found.shipped_suites() == []

    def test_shipped_modules_load_and_match_their_cards(self):
        for name in catalog().modules.names():
            entry, card = catalog().modules.entry(name), find_attention(name).card
            assert card is not None
            assert (entry.title, entry.family) == (card.title, card.family)
            assert entry.year == (card.paper.year if card.paper else None)
            assert entry.paper == (card.paper.short if card.paper else None)

    def test_own_plugins_first_then_by_name(self, monkeypatch):
        order = []

        def point(dist, name):
            value = f"{dist}:{name}"
            load = lambda: order.append(value) or {}  # noqa: E731
            return SimpleNamespace(
                name=name, value=value, dist=SimpleNamespace(name=dist), load=load
            )

        points = [
            point("zoo", "a"),
            point("acme", "b"),
            point("attnbench", "c"),
            point("acme", "a"),
        ]
        monkeypatch.setattr("attnbench.registry.plugins.entry_points", lambda group: points)
        Catalog().load_entry_points()
        assert order == ["attnbench:c", "acme:a", "acme:b", "zoo:a"]

    def test_modules_and_suites_of_one_table(self, install, write):
        write("one.toml", "[suite]\nname = 'one'\ntitle = 'One'\n")
        found = install(good="TABLE = {'mine': 'good_code:Mine', 'one': 'good:one.toml'}")
        write("good_code.py")
        assert found.failures == []
        assert found.modules.names() == ["mine"]
        assert found.suites.names() == ["one"]
        assert "good_code" not in sys.modules
        assert found.modules.entry("mine").origin == "dist-good (good:TABLE)"
        assert find_attention("mine,groups=2", found).build(4)(torch.ones(1, 4, 2, 2)).shape[1] == 4

    @pytest.mark.parametrize(
        ("source", "reason"),
        [
            ("raise ImportError('no such thing')", "ImportError: no such thing"),
            ("import nowhere_at_all", "ModuleNotFoundError: No module named 'nowhere_at_all'"),
            ("TABEL = {}", "has no attribute 'TABLE'"),
            ("def broken(:", "SyntaxError"),
            ("raise SystemExit(2)", "SystemExit: 2"),
            ("TABLE = ['a']", "the entry point is a list, not a table of names"),
            ("TABLE = {'a': 3}", "entry 'a' of the table: it must be 'package.module:Class'"),
            ("TABLE = {'a': {}}", "entry 'a' of the table: it must be"),
            ("TABLE = {3: 'm:C'}", "entry 3 of the table: its name is not a string"),
            ("TABLE = {'A b': 'm:C'}", "the name must be lower case letters"),
            ("TABLE = {'a-b': 'm:C'}", "the name must be lower case letters"),
            ("TABLE = {'a': 'no_colon'}", "lacks the colon of 'package.module:Class'"),
            ("TABLE = {'a': {'target': 'm:C', 'yaer': 1}}", "unknown key 'yaer'; known: target"),
            ("TABLE = {'a': {'target': 'm:C', 'year': '1'}}", "year must be a int, not '1'"),
        ],
    )
    def test_failing_plugin_is_reported_and_the_others_work(self, install, write, source, reason):
        found = install(bad=source, good="TABLE = {'mine': 'good_code:Mine'}")
        write("good_code.py")
        assert [failure.origin for failure in found.failures] == ["dist-bad (bad:TABLE)"]
        assert reason in found.failures[0].reason
        assert "\n" not in found.failures[0].reason
        assert find_attention("mine", found).name == "mine"

    def test_one_bad_entry_leaves_the_others_of_its_table(self, install):
        found = install(mixed="TABLE = {'bad': 3, 'good': 'm:C'}")
        assert found.modules.names() == ["good"]
        assert len(found.failures) == 1

    def test_name_of_two_tables_is_neithers(self, install):
        found = install(a="TABLE = {'x': 'a:X', 'y': 'a:Y'}", b="TABLE = {'x': 'b:X'}")
        (failure,) = found.failures
        assert failure.origin == "dist-b (b:TABLE)"
        assert (
            "'x' is registered twice: by dist-a (a:TABLE) and by dist-b (b:TABLE)" in failure.reason
        )
        with pytest.raises(DuplicateNameError, match=r"dist-a \(a:TABLE\) and by dist-b"):
            find_attention("x", found)
        assert found.modules.names() == ["y"]

    def test_suite_that_is_missing_from_its_package(self, install):
        found = install(bad="TABLE = {'lost': 'attnbench_suites:lost.toml', 'loose': 'bad:x.toml'}")
        assert found.suites.names() == ["loose", "lost"]
        with pytest.raises(PluginError, match=r"attnbench_suites holds no lost\.toml"):
            find_suite("lost", found)
        with pytest.raises(PluginError, match=r"'loose' of dist-bad .*'bad:x\.toml'"):
            find_suite("loose", found)

    def test_all_leaves_out_modules_that_do_not_load(self, install, write):
        found = install(mixed="TABLE = {'mine': 'good_code:Mine', 'broken': 'nowhere:X'}")
        write("good_code.py")
        suite = parse_suite(
            {
                "suite": {"name": "s", "title": "S"},
                "table": [
                    {"columns": ["label"], "row": [{"module": "@all", "channels": 8, "size": 4}]}
                ],
            },
            "s.toml",
        )
        for _ in range(2):
            assert [row.cases[0].module for row in plan(suite, found)[0].rows] == ["mine"]
        (failure,) = found.failures
        assert isinstance(failure, PluginFailure)
        assert failure.origin == "dist-mixed (mixed:TABLE)"
        assert "No module named 'nowhere'" in failure.reason


class TestFiles:
    def test_decorator_registers_in_the_catalog_that_loads(self, fresh, write):
        loading = Catalog()
        loading.load_file(write("my.py", REGISTERED))
        assert loading.modules.names() == ["mine"]
        assert fresh.modules.names() == []
        assert loading.modules.entry("mine").origin.endswith("my.py:5")

    def test_loaded_once(self, fresh, write):
        path = write("my.py", REGISTERED)
        assert fresh.load_file(path) is fresh.load_file(str(path))

    def test_home_and_relative_paths(self, fresh, write, monkeypatch, tmp_path):
        write("my.py", REGISTERED)
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("HOME", str(tmp_path))
        assert fresh.load_file("my.py") is fresh.load_file("~/my.py")

    def test_missing(self, fresh):
        with pytest.raises(PluginError, match=r"plugin file 'no\.py' does not exist"):
            fresh.load_file("no.py")

    @pytest.mark.parametrize(
        ("text", "reason"),
        [
            ("import attnbench\n\ndef broken(:\n    pass", r"my\.py:3 fails: SyntaxError"),
            ("x = 1\ny = x / 0\n", r"my\.py:2 fails: ZeroDivisionError: division by zero"),
            ("def f():\n    raise KeyError('k')\nf()\n", r"my\.py:2 fails: KeyError"),
            ("import nowhere_at_all", r"my\.py:1 fails: ModuleNotFoundError"),
            ("import json\njson.loads('{')", r"my\.py:2 fails: JSONDecodeError"),
            ("raise SystemExit('usage: ...')", r"my\.py:1 fails: SystemExit: usage"),
            ("import attnbench\nattnbench.register('x')(3)", r"my\.py: module 'x' of .* contract"),
        ],
    )
    def test_failing_file_names_the_line(self, fresh, write, text, reason):
        with pytest.raises(PluginError, match=reason) as caught:
            fresh.load_file(write("my.py", text))
        assert "\n" not in str(caught.value)

    def test_file_of_another_kind(self, fresh, write):
        with pytest.raises(PluginError, match=r"notes\.txt.* its name must end in \.py"):
            fresh.load_file(write("notes.txt", "hello"))

    def test_raising_half_way_leaves_nothing_behind(self, fresh, write):
        fresh.add_table({"kept": "kept_code:Kept", "lazy": "my_lazy:Mine"}, "dist (table)")
        before = fresh.modules.entries()
        modules, path = set(sys.modules), list(sys.path)
        # overwrites `lazy`, whose target is the same class, and adds `mine`
        text = (
            REGISTERED
            + """
Lazy = type("Lazy", (Mine,), {"__module__": "my_lazy", "__qualname__": "Mine"})
attnbench.register("lazy")(Lazy)
assert attnbench.registry.plugins._LOADING.get().modules.get("lazy") is Lazy
raise RuntimeError("half-way")
"""
        )
        with pytest.raises(PluginError, match="RuntimeError: half-way"):
            fresh.load_file(write("my.py", text))
        assert fresh.modules.entries() == before
        assert fresh.files == {}
        assert set(sys.modules) == modules
        assert sys.path == path

    def test_repaired_file_can_be_loaded(self, fresh, write):
        with pytest.raises(PluginError):
            fresh.load_file(write("my.py", REGISTERED + "\nraise ValueError"))
        fresh.load_file(
            write("my.py", REGISTERED + "\n# repaired, and longer than it was before\n")
        )
        assert fresh.modules.names() == ["mine"]

    def test_two_files_of_one_name(self, fresh, write):
        one = fresh.load_file(write("my.py", folder="one"))
        two = fresh.load_file(write("my.py", folder="two"))
        assert one.Mine is not two.Mine
        assert one.__name__ != two.__name__

    def test_two_files_that_register_one_name(self, fresh, write):
        fresh.load_file(write("first.py", REGISTERED))
        with pytest.raises(PluginError, match=r"by .*first\.py:5 and by .*second\.py:5"):
            fresh.load_file(write("second.py", REGISTERED))
        assert fresh.modules.entry("mine").origin.endswith("first.py:5")

    def test_neighbours_are_importable(self, fresh, write):
        write("my_neighbour_of_test.py", "FACTOR = 3")
        module = fresh.load_file(write("my.py", "from my_neighbour_of_test import FACTOR"))
        assert module.FACTOR == 3

    def test_neighbours_do_not_hide_what_is_installed(self, fresh, write):
        write("json.py", "raise RuntimeError('the wrong json')")
        fresh.load_file(write("my.py", "import json; json.loads('1')"))
        assert sys.path[-1] == str(write("my.py", "").parent)

    def test_classes_pickle(self, fresh, write):
        built = find_attention(f"{write('my.py')}:Mine", fresh).build(4)
        again = pickle.loads(pickle.dumps(built))
        x = torch.ones(1, 4, 2, 2)
        assert type(again) is type(built)
        assert torch.equal(again(x), built(x))


class TestTargets:
    def test_class_of_a_file(self, fresh, write):
        path = write("my.py")
        attention = find_attention(f"{path}:Mine,groups=2", fresh)
        assert attention.name == f"{path}:Mine"
        assert str(attention.spec) == f"{path}:Mine,groups=2"
        assert attention.origin.endswith("my.py:4")
        assert fresh.modules.names() == []

    @pytest.mark.parametrize(
        "name",
        ["my gate.py", "my,gate.py", "my, gate v=2.py", "a=b.py", "x,y=1.py", "it's.v2.py",
         "[1].py"],
    )  # fmt: skip
    def test_a_file_of_any_name(self, fresh, write, name, monkeypatch):
        path = write(name, folder="a:b, c")
        monkeypatch.chdir(path.parent)
        for place in (path, name, f"../{path.parent.name}/{name}"):
            attention = find_attention(f"{place}:Mine,groups=2", fresh)
            assert str(find_attention(str(attention.spec), fresh).spec) == str(attention.spec)
            assert attention.spec.name == f"{place}:Mine"
            assert attention.build(4)(torch.ones(1, 4, 2, 2)).shape[1] == 4
        assert len(fresh.files) == 1

    def test_a_file_of_the_home_folder(self, fresh, write, monkeypatch):
        monkeypatch.setenv("HOME", str(write("my.py").parent))
        assert find_attention("~/my.py:Mine", fresh).name == "~/my.py:Mine"

    def test_a_link_to_a_file(self, fresh, write, tmp_path):
        for name in ("stored", "my.py"):
            (tmp_path / "link.py").unlink(missing_ok=True)
            (tmp_path / "link.py").symlink_to(write(name))
            assert find_attention(f"{tmp_path}/link.py:Mine", fresh).build(4)

    def test_class_of_a_module(self, fresh):
        attention = find_attention("attnbench_modules.se:SE,reduction=4", fresh)
        assert attention.options["reduction"] == 4
        assert attention.card.title == find_attention("se").card.title

    def test_nested_attribute(self, fresh, write):
        path = write("my.py", "class Box:\n    from torch.nn import Identity as Inner\n")
        assert find_attention(f"{path}:Box.Inner", fresh).factory is torch.nn.Identity

    @pytest.mark.parametrize("name", ["Mien", "", "Mine.nested"])
    def test_missing_attribute_lists_what_there_is(self, fresh, write, name):
        text = "from torch import nn\nclass Mine(nn.Module): ...\ndef make(channels): ...\nX = 1"
        path = write("my.py", text)
        with pytest.raises(PluginError) as caught:
            find_attention(f"{path}:{name}", fresh)
        assert f"my.py defines no {name!r}; it defines Mine, make." in str(caught.value)
        assert ("Did you mean 'Mine'" in str(caught.value)) == (name != "")

    def test_missing_attribute_of_a_module(self, fresh):
        with pytest.raises(PluginError, match=r"attnbench_modules\.se defines no 'Se'; .*SE"):
            find_attention("attnbench_modules.se:Se", fresh)

    @pytest.mark.parametrize("text", ["nowhere.at.all:X", ":X", "1+1:X", "a b:X"])
    def test_module_that_cannot_be_imported(self, fresh, text):
        with pytest.raises(PluginError, match="cannot be imported"):
            find_attention(text, fresh)

    def test_missing_file(self, fresh):
        with pytest.raises(PluginError, match=r"plugin file 'no\.py' does not exist"):
            find_attention("no.py:Mine", fresh)

    def test_breaking_the_contract(self, fresh, write):
        path = write("my.py", "class Mine:\n    pass\n")
        with pytest.raises(PluginError, match=r"Mine is not a subclass of torch\.nn\.Module"):
            find_attention(f"{path}:Mine", fresh)

    def test_file_without_a_class(self, fresh):
        with pytest.raises(RequestError, match=r"module file 'my\.py' does not exist"):
            find_attention("my.py", fresh)
