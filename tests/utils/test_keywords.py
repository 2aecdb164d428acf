"""Keyword arguments that a function does not have."""

import pytest

from attnbench.errors import RequestError
from attnbench.utils.keywords import name_keywords


@name_keywords
def measure(model, input_size=(1, 3, 224, 224), *, budget=5):
    """Return what it is given."""
    return model, input_size, budget


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        (
            {"size": 64},
            "measure() has no argument 'size': got 64; it takes model, input_size, budget. "
            "Did you mean 'input_size'?",
        ),
        ({"inputsize": (1, 2)}, "Did you mean 'input_size'?"),
        ({"bugdet": 3}, "Did you mean 'budget'?"),
        ({"zzz": 3}, "it takes model, input_size, budget."),
    ],
)
def test_the_argument_that_is_meant(keywords, message):
    with pytest.raises(RequestError) as raised:
        measure(None, **keywords)
    assert str(raised.value).endswith(message)


def test_known_keywords_pass():
    assert measure(1, budget=2, input_size=3) == (1, 3, 2)
    assert measure.__doc__ == "Return what it is given."
