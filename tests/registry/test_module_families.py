"""Families of modules: names behind a prefix, from anybody's table."""

import pytest

from attnbench.errors import DuplicateNameError, PluginError, RequestError, UnknownNameError
from attnbench.records.cache_key import fingerprint, packages_of
from attnbench.registry.attention import find_attention
from attnbench.registry.module_families import family_packages, find_member, member_names
from attnbench.registry.plugins import catalog
from attnbench.suites.load import parse_suite
from attnbench.suites.plan import make_case, plan

FAMILY = """
from torch import nn
from attnbench import Card

class Mine(nn.Identity):
    def __init__(self, channels, *, groups: int = 1, feature_size=None):
        super().__init__()
        self.made = channels, groups, feature_size

class Family:
    packages = ("torch", "no-such-package")
    def names(self):
        return ["one", "two"]
    def get(self, name):
        return {"one": Mine, "two": lambda channels: Mine(channels, groups=2)}[name]

class Careless(Family):
    def get(self, name):
        return 3

class Failing(Family):
    def names(self):
        raise OSError("no luck")
    def get(self, name):
        raise OSError("no luck")

class Nameless:
    packages = "torch"
    def get(self, name):
        return None

FAMILY, CARELESS, FAILING, NAMELESS = Family(), Careless(), Failing(), Nameless()
TABLE = {
    "mine:": {"target": "acme:FAMILY", "title": "layers of mine", "family": "channel"},
    "careless:": "acme:CARELESS",
    "failing:": "acme:FAILING",
    "nameless:": "acme:NAMELESS",
    "absent:": "acme:ABSENT",
    "plain": "acme:Mine",
}
"""


@pytest.fixture
def acme(install):
    return install(acme=FAMILY)


class TestFound:
    def test_by_prefix_and_name(self, acme):
        found = find_attention("mine:one,groups=2", acme)
        assert str(found.spec) == "mine:one,groups=2"
        assert found.build(8, (3, 4)).made == (8, 2, (3, 4))
        assert found.origin.endswith(":5")
        assert find_attention("mine:two", acme).build(8).made == (8, 2, None)

    def test_options_are_checked(self, acme):
        with pytest.raises(RequestError, match=r"mine:one has no option 'group'.*'groups'"):
            find_attention("mine:one,group=2", acme)

    def test_is_no_registered_module(self, acme):
        assert acme.modules.names() == ["plain"]
        assert set(acme.loadable_modules()) == {"plain"}
        assert member_names(acme.module_families, "mine:") == ["one", "two"]

    def test_other_prefixes_are_files_and_packages(self, acme):
        assert find_attention("acme:Mine", acme).build(8).made == (8, 1, None)
        assert find_member(acme.module_families, "acme:Mine") is None
        assert find_member(acme.module_families, "plain") is None

    def test_near_misses(self, acme):
        with pytest.raises(UnknownNameError, match=r"mine: module 'oen'. Did you mean 'one'\?"):
            find_attention("mine:oen", acme)

    def test_a_backbone_of_the_same_prefix(self):
        with pytest.raises(UnknownNameError, match="As a backbone: -b timm:resnet50d"):
            find_attention("timm:resnet50d")


class TestBroken:
    @pytest.mark.parametrize(
        ("spec", "reason"),
        [
            ("careless:one", "'careless:one' of int breaks the contract: it is a int"),
            ("failing:one", r"'failing:' of dist-acme .*: names\(\) fails: OSError: no luck"),
            ("nameless:one", r"family has names.*; this one lacks names, packages"),
            ("absent:one", "module family 'absent:' of dist-acme .* cannot be loaded"),
        ],
    )
    def test_is_named_with_its_origin(self, acme, spec, reason):
        with pytest.raises(PluginError, match=reason):
            find_attention(spec, acme)

    def test_others_go_on_working(self, acme):
        assert acme.failures == []
        assert find_attention("mine:one", acme)

    @pytest.mark.parametrize("name", ["Mine:", ":", "mi ne:", "a:b:", "9:"])
    def test_names(self, install, name):
        found = install(acme=f"TABLE = {{{name!r}: 'acme:FAMILY'}}")
        assert "must be lower case letters" in found.failures[0].reason
        assert found.module_families.names() == []

    def test_one_prefix_from_two_plugins(self, install):
        found = install(acme=FAMILY, zoo="TABLE = {'mine:': 'zoo:OTHER'}")
        with pytest.raises(DuplicateNameError, match="'mine:' is registered twice: by dist-acme"):
            find_attention("mine:one", found)


class TestInSuites:
    def suite(self, **row):
        head = {"suite": {"name": "s", "title": "S"}}
        return parse_suite(
            {**head, "table": [{"columns": ["label"], "row": [{"channels": 8, "size": 4, **row}]}]},
            "s.toml",
        )

    def test_cases(self, acme):
        (table,) = plan(self.suite(module=["mine:one,groups=1", "mine:two"]), acme)
        names = [case.name for row in table.rows for case in row.cases]
        assert names == ["cost/alone/mine:one/8x4x4", "cost/alone/mine:two/8x4x4"]

    def test_all_does_not_include_them(self, acme):
        (table,) = plan(self.suite(module="@all"), acme)
        assert [row.label for row in table.rows] == ["plain"]

    def test_unknown_names_say_which_row(self, acme):
        with pytest.raises(UnknownNameError, match="suite s, row 1: unknown mine: module 'tow'"):
            plan(self.suite(module="mine:tow"), acme)

    def test_packages_are_part_of_what_a_result_depends_on(self, acme, monkeypatch):
        case = make_case(acme, backbone=None, module="mine:one", placement=None, channels=8, size=4)
        assert {"torch", "no-such-package"} <= set(packages_of(case, acme))
        assert family_packages(acme.module_families, "plain") == []
        assert "no-such-package" not in packages_of(case, catalog())
        monkeypatch.setattr("attnbench.system.provenance.version", lambda name: f"{name} 1")
        before = fingerprint(case, self.suite(module="mine:one"), acme)
        monkeypatch.setattr(
            "attnbench.system.provenance.version",
            lambda name: f"{name} {2 if name == 'no-such-package' else 1}",
        )
        assert fingerprint(case, self.suite(module="mine:one"), acme) != before

    def test_a_module_of_timm_depends_on_timm(self):
        case = make_case(
            catalog(), backbone=None, module="timm:se", placement=None, channels=8, size=4
        )
        assert packages_of(case).count("timm") == 1
