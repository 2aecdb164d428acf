from collections.abc import Callable
from typing import Literal

import pytest
import torch
from torch import nn

import attnbench
from attnbench import Card, Constraint, register
from attnbench.errors import PluginError, RequestError, UnknownNameError
from attnbench.registry.attention import find_attention, from_callable
from attnbench.registry.specs import Spec


class Many(nn.Module):
    """Every kind of option."""

    def __init__(
        self,
        channels,
        *,
        whole: int = 2,
        real: float = 0.5,
        switch: bool = True,
        mode: Literal["sum", "none", "2"] = "sum",
        word: str = "x",
        maybe: int | None = None,
        pair: tuple[int, int] = (3, 3),
        norm: Callable[..., nn.Module] = nn.BatchNorm2d,
        free=1,
    ) -> None:
        super().__init__()
        self.given = whole, real, switch, mode, word, maybe, pair, norm, free

    def forward(self, x):
        return x


@pytest.fixture
def many(fresh):
    register("many")(Many)
    return lambda spec: find_attention(spec, fresh)


class TestOptions:
    @pytest.mark.parametrize(
        ("given", "key", "value"),
        [
            ("whole=3", "whole", 3),
            ("real=1", "real", 1.0),
            ("real=1e-3", "real", 1e-3),
            ("switch=false", "switch", False),
            ("mode=none", "mode", "none"),
            ("mode=2", "mode", "2"),
            ("word=3", "word", "3"),
            ("word=true", "word", "true"),
            ("maybe=none", "maybe", None),
            ("maybe=4", "maybe", 4),
            ("free=anything", "free", "anything"),
            ("pair=[1,3]", "pair", (1, 3)),
            ("pair=(1,3)", "pair", (1, 3)),
            ("word=channels", "word", "channels"),
            ("word='4'", "word", "4"),
            ("free=[1,a]", "free", [1, "a"]),
        ],
    )
    def test_values(self, many, given, key, value):
        found = many(f"many,{given}").options[key]
        assert found == value
        assert type(found) is type(value)

    @pytest.mark.parametrize(
        ("given", "reason"),
        [
            ("whole=four", "option whole should be a valid integer, not 'four' (default 2)"),
            ("whole=2.5", "option whole should be a valid integer"),
            ("whole=true", "option whole should be a valid integer, not True"),
            ("whole=none", "option whole should be a valid integer, not None"),
            ("real=fast", "option real should be a valid number"),
            ("real=true", "option real should be a valid number"),
            ("switch=1", "option switch should be a valid boolean, not 1 (default true)"),
            ("switch=yes", "option switch should be a valid boolean"),
            ("mode=avg", "option mode should be 'sum', 'none' or '2', not 'avg' (default sum)"),
            ("maybe=x", "option maybe should be a valid integer"),
            ("pair=3", "option pair should be a valid tuple"),
            ("pair=[1,x]", "option pair should be a valid tuple"),
            ("switch=channels", "option switch should be a valid boolean, not 'channels'"),
        ],
    )
    def test_wrong_types(self, many, given, reason):
        with pytest.raises(RequestError) as caught:
            many(f"many,{given}")
        assert f"many: {reason}" in str(caught.value)
        assert "\n" not in str(caught.value)

    @pytest.mark.parametrize("options", [{"pair": (1, 3)}, {"norm": nn.GroupNorm}, {"real": 2}])
    def test_values_that_only_python_can_give(self, many, options):
        assert many(Spec("many", options)).options | options == many(Spec("many", options)).options

    @pytest.mark.parametrize("spec", ["ulsam,groups=four", "ulsam,groups=2.5", "ulsam,groups=true"])
    def test_of_a_shipped_module(self, spec):
        with pytest.raises(RequestError, match="ulsam: option groups should be a valid integer"):
            find_attention(spec)

    def test_choices_are_listed(self):
        with pytest.raises(RequestError, match="combine should be 'mul' or 'add', not 'avg'"):
            find_attention("bam,combine=avg")

    def test_unknown_option_is_suggested_and_all_are_listed(self):
        with pytest.raises(RequestError) as caught:
            find_attention("ulsam,gruops=4")
        assert str(caught.value) == (
            "ulsam has no option 'gruops'; it takes groups=4, momentum=0.1. Did you mean 'groups'?"
        )

    def test_module_without_options(self):
        with pytest.raises(RequestError, match="identity has no option 'x'; it takes none"):
            find_attention("identity,x=1")

    def test_channels_and_feature_size_are_no_options(self):
        for key in ("channels", "feature_size", "self"):
            with pytest.raises(RequestError, match=f"no option {key!r}"):
                find_attention(Spec("se", {key: 3}))


class TestCanonicalSpec:
    @pytest.mark.parametrize(
        ("given", "canonical"),
        [
            ("many", "many"),
            ("many,whole=2,real=0.50,switch=true,mode=sum,maybe=none,free=1", "many"),
            ("many,word=y,whole=3", "many,whole=3,word=y"),
            ("many,real=1", "many,real=1.0"),
            ("many,real=1.0", "many,real=1.0"),
            ("many,switch=False", "many,switch=false"),
            ("many,whole=channels,pair=[channels,3]", "many,pair=(channels,3),whole=channels"),
            ("many,free=true", "many,free=true"),  # equal to 1, and another value
        ],
    )
    def test_defaults_are_dropped(self, many, given, canonical):
        spec = str(many(given).spec)
        assert spec == canonical
        assert str(many(spec).spec) == spec
        assert many(spec).options == many(given).options

    def test_of_a_shipped_module(self):
        assert str(find_attention("ulsam,groups=4,momentum=0.1").spec) == "ulsam"
        assert (
            str(find_attention("ulsam,momentum=0.9,groups=8").spec) == "ulsam,groups=8,momentum=0.9"
        )


class TestConstraints:
    def test_refused_before_anything_is_built(self, fresh):
        built = []

        def counting(channels, *, groups=4):
            built.append(channels)
            return nn.Identity()

        counting.card = Card(
            title="Counting",
            family="spatial",
            constraints=(
                Constraint("groups must divide channels", lambda c, groups, **_: c % groups == 0),
            ),
        )
        register("counting")(counting)
        attention = find_attention("counting,groups=3", fresh)
        with pytest.raises(RequestError) as caught:
            attention.build(8, (7, 5))
        assert str(caught.value) == (
            "counting,groups=3 cannot work on 8 channels at 7x5: groups must divide channels"
        )
        assert built == []
        attention.build(9)
        assert built == [9]

    def test_constraints_see_the_feature_size_and_all_options(self, fresh):
        seen = []

        class Fussy(Many):
            card = Card(
                title="Fussy",
                family="spatial",
                constraints=(
                    Constraint("c", lambda channels, **given: not seen.append((channels, given))),
                ),
            )

        find = from_callable(Fussy, {"whole": 5})
        find.check(16, (3, 4))
        (seen_channels, given), *_ = seen
        assert seen_channels == 16
        assert given.pop("feature_size") == (3, 4)
        assert given == find.options

    def test_constraint_that_crashes_is_the_plugins_fault(self):
        def broken(channels, *, groups=0):
            return nn.Identity()

        broken.card = Card(
            title="Broken",
            family="spatial",
            constraints=(Constraint("divides", lambda c, groups, **_: c % groups == 0),),
        )
        with pytest.raises(PluginError, match=r"constraint on its card fails .*ZeroDivisionError"):
            from_callable(broken, {}).check(8)

    @pytest.mark.parametrize("channels", [0, -3, 2.5, "8", True])
    def test_channels_that_are_no_count(self, channels):
        with pytest.raises(RequestError, match="channels must be a whole number"):
            attnbench.create_module("se", channels)


class TestBuild:
    def test_feature_size_is_passed_only_where_it_is_taken(self):
        seen = {}

        def takes(channels, *, feature_size=None):
            seen["takes"] = feature_size
            return nn.Identity()

        def takes_not(channels, **options):
            seen["takes_not"] = options
            return nn.Identity()

        from_callable(takes, {}).build(8, (7, 9))
        from_callable(takes_not, {}).build(8, (7, 9))
        assert seen == {"takes": (7, 9), "takes_not": {}}

    def test_fresh_instance_each_time(self):
        attention = find_attention("se")
        one, other = attention.build(16), attention.build(16)
        assert one is not other
        assert not {id(p) for p in one.parameters()} & {id(p) for p in other.parameters()}

    def test_constructor_that_refuses(self):
        def refusing(channels):
            raise ValueError("no\nway")

        with pytest.raises(RequestError, match=r"refusing cannot be built for 8 channels: .*: no$"):
            from_callable(refusing, {}).build(8)

    @pytest.mark.parametrize("returned", [None, nn.Identity, torch.ones(1)])
    def test_factory_that_returns_no_module(self, returned):
        def odd(channels):
            return returned

        with pytest.raises(PluginError, match=r"odd \(.*:\d+\) must return a nn\.Module: got a"):
            from_callable(odd, {}).build(8)

    def test_title_is_the_cards_or_the_name(self):
        assert find_attention("se").title == "Squeeze-and-excitation (SE)"
        assert from_callable(Many, {}).title == "Many"


class TestFromCallable:
    def test_class_lambda_and_function(self):
        for factory in (Many, lambda channels: nn.Identity(), nn.Identity):
            attention = from_callable(factory, {})
            assert attention.factory is factory
            assert isinstance(attention.build(8), nn.Module)

    def test_options_are_checked(self):
        with pytest.raises(RequestError, match="Many has no option 'wohle'"):
            from_callable(Many, {"wohle": 3})
        assert from_callable(Many, {"whole": 3}).options["whole"] == 3

    @pytest.mark.parametrize("what", [None, 3, nn.Identity(), object()])
    def test_what_cannot_be_called_or_is_built(self, what):
        with pytest.raises(PluginError, match="breaks the contract"):
            from_callable(what, {})


class TestCache:
    def test_the_same_text_is_resolved_once(self, many):
        assert many("many,whole=3") is many("many,whole=3")
        assert find_attention("timm:eca") is find_attention("timm:eca")

    def test_a_changed_catalog_is_looked_up_again(self, fresh, many):
        before, entries = many("many"), fresh.modules.entries()
        register("another")(nn.Identity)
        assert many("many") is not before
        fresh.modules.remove(["many"])
        with pytest.raises(UnknownNameError, match="many"):
            many("many")
        fresh.modules.restore(entries)
        assert many("many").factory is Many

    def test_a_replaced_card_is_read_again(self, many, monkeypatch):
        before = many("many")
        monkeypatch.setattr(Many, "card", Card(title="New", family="channel"), raising=False)
        assert (before.title, many("many").title) == ("many", "New")

    def test_a_file_is_found_from_the_current_folder(self, fresh, tmp_path, monkeypatch):
        for folder in ("one", "other"):
            (tmp_path / folder).mkdir()
            (tmp_path / folder / "my.py").write_text("from torch import nn\nMine = nn.Identity\n")
        monkeypatch.chdir(tmp_path / "one")
        before = find_attention("my.py:Mine", fresh)
        monkeypatch.chdir(tmp_path / "other")
        assert find_attention("my.py:Mine", fresh) is not before
        assert len(fresh.files) == 2
