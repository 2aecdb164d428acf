import pytest

from attnbench.errors import RequestError
from attnbench.registry.specs import Spec, parse_spec


@pytest.mark.parametrize(
    ("text", "name", "options"),
    [
        ("ulsam", "ulsam", {}),
        ("ulsam,groups=4", "ulsam", {"groups": 4}),
        (" ulsam , groups = 4 ", "ulsam", {"groups": 4}),
        ("a,x=1.5,y=-2,z=1e-05", "a", {"x": 1.5, "y": -2, "z": 1e-5}),
        ("a,on=true,off=False,no=None", "a", {"on": True, "off": False, "no": None}),
        ("bam,combine=add", "bam", {"combine": "add"}),
        ("my.py:Mine,k=3", "my.py:Mine", {"k": 3}),
        ("timm:mobilenetv2_100", "timm:mobilenetv2_100", {}),
        ("a,path=x=y", "a", {"path": "x=y"}),
        ("a,k=[3,5]", "a", {"k": [3, 5]}),
        (
            "a, k = [ 3 , [5, none] ] , b = (1,), c=()",
            "a",
            {"k": [3, [5, None]], "b": (1,), "c": ()},
        ),
        ("a,k=[avg,'a,b',\"it's\"],b='x=1'", "a", {"k": ["avg", "a,b", "it's"], "b": "x=1"}),
        ("my, gate.py:Mine,k=3", "my, gate.py:Mine", {"k": 3}),
        ("my.py:Mine,path=x.py:Other", "my.py:Mine", {"path": "x.py:Other"}),
        ("ulsam,path=x.py:Other", "ulsam", {"path": "x.py:Other"}),
    ],
)
def test_parse(text, name, options):
    spec = parse_spec(text)
    assert (spec.name, spec.options) == (name, options)
    assert [type(value) for value in spec.options.values()] == [*map(type, options.values())]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"b": 1, "a": 2},
        {"x": 0.1, "y": 1e-05, "z": 1e300},
        {"x": 1.0, "y": 1},
        {"x": True, "y": False, "z": None},
        {"x": "word", "y": "a-b", "z": "w=1"},
        {"x": float("inf"), "y": -3},
        {"x": [3, 5], "y": (3, [5, None, True]), "z": (1,), "e": [], "t": ()},
        {"x": "a,b", "y": ["a,b", "4", "none", "]", "it's"], "z": " ", "e": "", "q": "[x"},
    ],
)
def test_round_trip(options):
    spec = Spec("name", options)
    again = parse_spec(str(spec))
    assert again == spec
    assert hash(again) == hash(spec)
    assert str(again) == str(spec)
    assert [type(again.options[key]) for key in options] == [*map(type, options.values())]


def test_a_quoted_number_stays_a_text():
    spec = parse_spec("a,x='4',y=4")
    assert spec.options == {"x": "4", "y": 4}
    assert str(spec) == "a,x='4',y=4"


def test_canonical_text_is_sorted():
    assert str(parse_spec("a,z=1,b=true")) == "a,b=true,z=1"


def test_equal_specs_have_equal_hashes():
    one, other = Spec("a", {"x": 1}), Spec("a", {"x": 1.0})
    assert one == other
    assert hash(one) == hash(other)


def test_given_wins_and_leaves_the_original():
    spec = parse_spec("a,x=1")
    assert str(spec.with_options(x=2, y=3)) == "a,x=2,y=3"
    assert str(spec) == "a,x=1"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "module has no name: got ''"),
        ("   ", "has no name"),
        (",groups=4", "has no name"),
        ("ulsam,groups", "got 'groups'"),
        ("ulsam,groups=", "got 'groups='"),
        ("ulsam,=4", "got '=4'"),
        ("ulsam,,groups=4", "got ''"),
        ("ulsam,", "got ''"),
        ("ulsam,4=groups", "got '4=groups'"),
        ("ulsam,my key=4", "got 'my key=4'"),
        ("sk,kernels=[3,5", r"option 'kernels' is not closed: got '\[3,5'. End it with ]"),
        ("sk,name='x", "option 'name' is not closed"),
        ("sk,width=channels/2", "option 'width' is no number: got 'channels/2'. .* channels"),
        ("sk,width=2*channels", "'2[*]channels'"),
        ("ulsam,groups=4,groups=8", "'groups' is given twice"),
    ],
)
def test_malformed(text, message):
    with pytest.raises(RequestError, match=message):
        parse_spec(text, "module")
