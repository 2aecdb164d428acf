"""The progress of a training as text, and back."""

import pytest

from attnbench.training.progress_text import progress_text, share_done


@pytest.mark.parametrize(
    ("step", "text", "share"),
    [
        (0, "epoch 1/3, step 0/40", 0.0),
        (45, "epoch 2/3, step 5/40", 45 / 120),
        (119, "epoch 3/3, step 39/40", 119 / 120),
    ],
)
def test_text_and_share(step, text, share):
    assert progress_text(step, 40, 3) == text
    assert share_done(f"{text}, loss 0.5, 1,200 images/s") == pytest.approx(share)


def test_other_texts_tell_no_share():
    assert share_done("loading data") == 0.0
