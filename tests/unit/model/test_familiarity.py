from __future__ import annotations

import numpy as np
import pytest

from brainclock.errors import InputError
from brainclock.model.familiarity import Familiarities, Familiarity, fit_familiarity


def draw(n: int, d: int = 60, seed: int = 0) -> np.ndarray:
    """Embeddings that vary much along 3 directions and little along the others."""
    rng = np.random.default_rng(seed)
    directions = np.linalg.qr(np.random.default_rng(9).standard_normal((d, 3)))[0].T
    return 4 + rng.standard_normal((n, 3)) * [9, 6, 4] @ directions + 0.3 * rng.standard_normal((n, d))


def names(n: int) -> list[str]:
    return [f"sub-{index}" for index in range(n)]


@pytest.mark.parametrize("left_out", [None, draw(300, seed=1)])
def test_one_in_a_hundred_of_the_same_kind_exceeds_the_threshold(left_out):
    familiarity = fit_familiarity(draw(300), names(300), left_out)
    distances = np.array([familiarity.distance(row) for row in draw(2000, seed=2)])
    assert 0.002 < (distances > familiarity.threshold).mean() < 0.03
    assert np.median(distances) == pytest.approx(1, abs=0.1)


def test_what_varies_little_among_training_people_weighs_much():
    familiarity = fit_familiarity(draw(300), names(300))
    assert len(familiarity.components) == 3
    along, across = familiarity.components[0] * 5, np.linalg.svd(familiarity.components)[2][-1] * 5
    assert familiarity.distance(familiarity.centre + along) < familiarity.threshold
    assert familiarity.distance(familiarity.centre + across) > familiarity.threshold
    assert familiarity.distance(familiarity.centre) == pytest.approx(0, abs=1e-6)


def test_distance_is_the_mahalanobis_distance_of_its_gaussian():
    familiarity = fit_familiarity(draw(300), names(300))
    basis = np.linalg.svd(familiarity.components)[2].astype(float)
    basis[:3] = familiarity.components
    variances = np.full(60, float(familiarity.residual_variance))
    variances[:3] = familiarity.variances
    covariance = basis.T @ np.diag(variances) @ basis
    away = draw(1, seed=7)[0] - familiarity.centre
    expected = np.sqrt(away @ np.linalg.solve(covariance, away) / 60)
    assert familiarity.distance(draw(1, seed=7)[0]) == pytest.approx(expected, rel=1e-3)


def test_left_out_people_of_another_spread_set_the_threshold():
    tight = fit_familiarity(draw(100), names(100))
    wide = fit_familiarity(draw(100), names(100), 2 * draw(40, seed=3))
    few = fit_familiarity(draw(100), names(100), 2 * draw(19, seed=3))
    assert wide.threshold > 1.5 * tight.threshold
    assert few.threshold == tight.threshold


def test_scans_of_one_person_are_left_out_together():
    people = draw(40, 500)
    copies = np.repeat(people, 3, axis=0)
    alone = fit_familiarity(people, names(40))
    often = fit_familiarity(copies, list(np.repeat(names(40), 3)))
    assert often.threshold == pytest.approx(alone.threshold, rel=0.1)


def test_constant_embeddings_do_not_divide_by_zero():
    familiarity = fit_familiarity(np.ones((20, 5)), names(20))
    assert familiarity.distance(np.ones(5)) == 0
    assert familiarity.distance(np.full(5, 2.0)) > familiarity.threshold


def test_stored_and_read_again():
    familiarity = fit_familiarity(draw(50), names(50))
    again = Familiarity.from_tensors(familiarity.tensors())
    assert again.distance(draw(1)[0]) == familiarity.distance(draw(1)[0])
    with pytest.raises(KeyError):
        Familiarity.from_tensors({"centre": familiarity.centre})
    with pytest.raises(ValueError, match="do not fit together"):
        Familiarity.from_tensors({**familiarity.tensors(), "variances": np.ones(7, np.float32)})
    with pytest.raises(ValueError, match="axes"):
        Familiarity.from_tensors({**familiarity.tensors(), "components": np.ones(60, np.float32)})


def test_bad_input_is_one_sentence():
    with pytest.raises(InputError, match="20 embeddings of 9 participants"):
        fit_familiarity(draw(20), [f"sub-{index % 9}" for index in range(20)])
    with pytest.raises(InputError, match=r"shape \(3,\)"):
        fit_familiarity(draw(20), names(20)).distance(np.zeros(3))


def test_of_an_ensemble_it_is_the_mean_of_its_members():
    members = (fit_familiarity(draw(50), names(50)), fit_familiarity(2 * draw(50, seed=4), names(50)))
    both, embedding = Familiarities(members), np.concatenate([draw(1, seed=5)[0], draw(1, seed=6)[0]])
    own = [
        member.distance(part) / member.threshold
        for member, part in zip(members, np.split(embedding, 2), strict=True)
    ]
    assert both.unfamiliarity(embedding) == pytest.approx(np.mean(own))
    assert own[0] != pytest.approx(own[1])
    again = Familiarities.from_tensors(both.tensors(), 2)
    assert again.unfamiliarity(embedding) == both.unfamiliarity(embedding)
    with pytest.raises(KeyError):
        Familiarities.from_tensors(both.tensors(), 3)
    with pytest.raises(InputError, match="embedding"):
        both.unfamiliarity(embedding[:-1])
