from __future__ import annotations

import numpy as np
import pytest

from brainclock.config import Grid
from brainclock.errors import InputError
from brainclock.explain.plant import PLANTED, planted_pairs, try_methods
from brainclock.model.folder import LoadedModel
from tiny_model import GRID

FINE = Grid.box((48, 56, 48), (4.0, 4.0, 4.0), (0.0, -17.0, 5.0))


def test_a_pair_differs_where_it_was_changed_and_hardly_elsewhere() -> None:
    (pair,) = planted_pairs("ventricles", FINE, 1, seed=3)
    change = np.abs(pair.after.data - pair.before.data)
    inside, elsewhere = change[pair.region].mean(), change[pair.before.mask & ~pair.region].mean()
    assert inside > 5 * elsewhere
    assert 0 < pair.region.sum() < 0.1 * pair.before.mask.sum()
    darker = (pair.after.data - pair.before.data)[pair.region].mean()
    assert darker < 0, "more CSF"


def test_methods_are_tried_on_pairs(loaded: LoadedModel) -> None:
    pairs = list(planted_pairs("thalamus", GRID, 1, seed=1))
    tried = try_methods(loaded, pairs, ["grad-ram", "smoothgrad"], layers=(None, "stem"))
    assert [one.method for one in tried] == ["grad-ram", "grad-ram at stem", "smoothgrad"]
    for one in tried:
        assert (one.structure, one.pairs) == ("thalamus", 1)
        assert one.sign_right in (0, 1)
        assert 0 <= one.mass <= 1
    with pytest.raises(InputError, match="no pair"):
        try_methods(loaded, [], ["grad-ram"])


def test_a_structure_that_is_not_planted_is_named() -> None:
    with pytest.raises(InputError, match=f"expected {', '.join(PLANTED)}"):
        next(planted_pairs("pineal", GRID, 1, seed=1))
