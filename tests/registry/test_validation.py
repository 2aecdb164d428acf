import functools
import operator
import os
import re
import shutil
from typing import ClassVar

import pytest
import torch
from torch import nn

from attnbench import Card, register
from attnbench.errors import PluginError
from attnbench.registry.attention import find_attention
from attnbench.registry.signatures import signature_of
from attnbench.registry.validation import card_of, card_problems, documented_formula


class Good(nn.Module):
    def __init__(self, channels, *, groups=1):
        super().__init__()

    def forward(self, x):
        return x


class NoModule:
    def __init__(self, channels):
        pass


class NoForward(nn.Module):
    def __init__(self, channels):
        super().__init__()


class RequiredByPosition(Good):
    def __init__(self, channels, groups, /):
        super().__init__(channels)


class CardOfAnotherKind(Good):
    card = "SE"


class CardOfNoFamily(Good):
    card = Card(title="Mine", family="sideways")


class CardWithoutTitle(Good):
    card = Card(title=" ", family="channel")


class CardOfUnknownOption(Good):
    card = Card(title="Mine", family="channel", options={"gruops": "what it is"})


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        (3, "it is a int, neither a class nor a function"),
        (Good(1), "a module already built"),
        (NoModule, "NoModule is not a subclass of torch.nn.Module"),
        (dict, "dict is not a subclass"),
        (NoForward, "NoForward has no forward method"),
        (RequiredByPosition, "argument 'groups' cannot be given by name"),
        (CardOfAnotherKind, "its card is a str, not an attnbench.Card"),
        (CardOfNoFamily, "family 'sideways' is none of channel, spatial"),
        (CardWithoutTitle, "title is empty"),
        (CardOfUnknownOption, "describes option 'gruops', which the constructor does not take"),
        (os.getpid, "getpid is a built-in function, neither a nn.Module class nor a Python"),
        (functools.partial(print, 1), "print is a built-in function"),
        (operator.itemgetter(0), "is a built-in function"),
        (shutil.rmtree, "rmtree is a function of shutil, which returns no attention module"),
        (torch.nn.functional.relu, "relu is a function of torch"),
    ],
)
def test_broken_at_registration(fresh, target, reason):
    with pytest.raises(
        PluginError, match=r"^module 'broken' of .* breaks the contract: "
    ) as caught:
        register("broken")(target)
    assert reason in str(caught.value)
    assert fresh.modules.names() == []


@pytest.mark.parametrize("name", ["Mine", "my-module", "1st", "a b", "", "a.b", "a,b", "ü"])
def test_names(fresh, name):
    with pytest.raises(PluginError, match="lower case letters"):
        register(name)(Good)


def test_broken_class_is_named_when_a_lazy_entry_is_first_loaded(fresh):
    fresh.add_table({"lazy": f"{__name__}:NoForward"}, "dist (table)")
    assert fresh.modules.names() == ["lazy"]
    with pytest.raises(PluginError, match=r"'lazy' of dist \(table\) breaks the contract"):
        find_attention("lazy", fresh)


def test_signature():
    def factory(channels, *args, groups: int = 2, feature_size=None, **kwargs):
        return None

    signature = signature_of(factory)
    assert list(signature.options) == ["groups"]
    assert signature.options["groups"].annotation is int
    assert signature.takes_feature_size
    assert signature.takes_any


@pytest.mark.parametrize(
    "factory",
    [
        lambda *args, groups=2: None,
        lambda channels, groups=2: None,
        functools.partial(lambda channels, reduction, groups=2: None, reduction=4, groups=2),
    ],
)
def test_shapes_of_factories(factory):
    assert signature_of(factory).options["groups"].default == 2


@pytest.mark.parametrize("annotation", ["Nowhere", "B C H W", "1 +", "undefined.name"])
def test_annotations_that_only_a_type_checker_reads(fresh, annotation):
    def factory(channels, groups=2):
        return Good(channels)

    factory.__annotations__["groups"] = annotation
    register("annotated")(factory)
    assert find_attention("annotated,groups=x", fresh).options == {"groups": "x"}


class Carded(Good):
    card: ClassVar = Card(title="Carded", family="channel", options={"groups": "of channels"})


class Inheriting(Carded):
    def __init__(self, channels):
        super().__init__(channels)


def test_card_is_declared_not_inherited(fresh):
    # the costs of a changed module are not those of its parent
    assert card_of(Carded) is Carded.card
    assert card_of(Inheriting) is None
    register("inheriting")(Inheriting)
    assert find_attention("inheriting", fresh).title == "inheriting"


def test_card_of_a_factory(fresh):
    def factory(channels):
        return Good(channels)

    factory.card = Card(title="Made", family="spatial")
    register("made")(factory)
    assert find_attention("made", fresh).title == "Made"


def test_card_may_describe_what_kwargs_take(fresh):
    def factory(channels, **kwargs):
        return Good(channels)

    factory.card = Card(title="Made", family="spatial", options={"depth": "passed on"})
    register("made")(factory)
    assert find_attention("made,depth=3", fresh).options == {"depth": 3}


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"dead": ("bias",)}, "dead is a tuple, not a Mapping"),
        ({"exceptions": ["nan"]}, "exceptions is a list, not a Mapping"),
        ({"title": 3}, "title is a int, not a str"),
        ({"paper": "Hu"}, "paper is a str, not a Paper or None"),
        ({"params": 5}, "params is a int, not a Callable or None"),
        ({"traps": "one text"}, "traps is a str, not a tuple or a list"),
        ({"version": "1"}, "version is a str, not a int"),
        ({"exceptions": {"contract": "because"}}, "'contract' has no exceptions"),
        ({"exceptions": {"extrems": "x"}}, "'extrems'.* Did you mean 'extremes'"),
        ({"exceptions": {"nan": " "}}, "the exception 'nan' has no reason"),
        ({"defects": {"nans": "known"}}, "unknown check 'nans' with the reason 'known'"),
        (
            {"official": {"mobilenet_v2": "behind:14"}},
            "official placement in mobilenet_v2: .*behind",
        ),
        ({"official": {"*": ""}}, "official placement in .*: the placement is empty"),
    ],
)
def test_what_a_card_says_wrongly(fields, problem):
    (found,) = card_problems(Card(**{"title": "Mine", "family": "channel", **fields}))
    assert re.search(problem, found), found


class Documented(Good):
    """Scale x by a gate: (B, C, H, W) -> the same.

    s = sigmoid(W x)    (B, C, 1, 1)
    y = x * s
    """

    card = Card(title="Documented", family="channel")


class TestFormula:
    FORMULA = "s = sigmoid(W x)    (B, C, 1, 1)\ny = x * s"

    def test_is_the_docstrings_unless_the_card_has_one(self, fresh):
        register("documented")(Documented)
        assert find_attention("documented", fresh).formula == self.FORMULA
        given = type(
            "Given", (Documented,), {"card": Card(title="t", family="channel", formula="f")}
        )
        register("given")(given)
        assert find_attention("given", fresh).formula == "f"

    def test_a_file_without_equations_has_none(self, fresh):
        plain = type("Plain", (Good,), {"card": Documented.card})
        assert documented_formula(plain) == ""
        assert documented_formula(nn.Identity) == ""

    @pytest.mark.parametrize(
        ("text", "formula"),
        [
            ("A gate.\n\n    y = x\n\nMore.", "y = x"),
            ("Two:\n\n    q, k = W x\n    y = q k\n\nIt ends.\n", "q, k = W x\ny = q k"),
            ("Of maps:\n\n    g(m, s) = m\n\nMore.", "g(m, s) = m"),
            ("A gate.\n\nExample:\n\n    y = Gate(64)(x)\n\nMore.", ""),
            ("A gate::\n\n    y = Gate(64)(x)\n\nMore.", ""),
            ("A gate.\n\nThe number of groups = 4 is arbitrary.", ""),
            ("A gate.\n\nArgs:\n    groups: number, default = 4.", ""),
            ("y = x", ""),
            (None, ""),
        ],
    )
    def test_first_paragraph_of_equations(self, text, formula):
        assert documented_formula(type("One", (Good,), {"__doc__": text})) == formula
