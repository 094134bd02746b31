from __future__ import annotations

import pytest

from brainclock.compare.settings import load_compare_settings
from brainclock.errors import ConfigError

GOOD = 'data = ["here"]\nrivals = ["rnc-ridge", "l1", "exp"]\n'


def read(tmp_path, text: str):
    path = tmp_path / "compare.toml"
    path.write_text(text)
    return load_compare_settings(path)


def test_a_method_may_be_tuned_and_the_others_stay(tmp_path):
    settings = read(tmp_path, GOOD + "[tuned.l1]\nlearning_rate = 0.5\n")
    assert settings.train_settings("l1").learning_rate == 0.5
    assert settings.train_settings("rnc").learning_rate == settings.run.train.learning_rate
    assert settings.train_settings("exp").temperature == 0.1
    assert settings.methods == ("rnc", "l1", "exp")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('rivals = ["rnc-ridge", "l1"]', "data"),
        ('data = ["x"]\nrivals = ["rnc-ridge", "nobody"]', "rivals.1 = 'nobody'"),
        ('data = ["x"]\nrivals = ["rnc-ridge", "rnc-ridge"]', "rivals has something twice"),
        ('data = ["x"]\nrivals = ["l1", "mse"]', "the reference rnc-ridge is not one of the rivals"),
        (GOOD + "seeds = [1, 1]", "seeds has something twice"),
        (GOOD + '[axes]\nrivals = ["mse"]', "axes.rivals: mse is not one of the rivals"),
        (GOOD + "[tuned.l1]\nlearning_rat = 1", "tuned.l1.learning_rat"),
        (GOOD + "[tuned.ridge]\nalpha = 1", "is none of the networks"),
        (GOOD + "[protocol]\nfolds = 1", "protocol.folds = 1"),
        (GOOD + "[run.train]\nstep = 1", "run.train.step is not a setting"),
    ],
)
def test_what_cannot_be_is_named(tmp_path, text, words):
    with pytest.raises(ConfigError) as error:
        read(tmp_path, text)
    assert words in str(error.value)
    assert "docs/comparing.md" in str(error.value)
