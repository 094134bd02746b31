import numpy as np
import pytest
import torch

from brainclock.model.brain_age_model import BrainAgeModel
from brainclock.train.loop import Task
from brainclock.train.regress import embed_clean, fit_regressors, read_clean
from brainclock.train.views import make_views
from tiny_training import cohort, settings


@pytest.fixture(scope="module")
def model():
    return BrainAgeModel.build(settings()).eval()


def task() -> Task:
    people = cohort(20)
    views = make_views(people.volumes, people.keys, settings())
    return Task(views, np.arange(len(people)), people.ages, people.participants, people.sites)


def test_embeddings_of_clean_scans_are_the_models_own(model):
    people, given = cohort(20), task()
    rows = np.array([7, 0, *range(3, 21)])  # more than one piece
    volumes = np.stack([people.volumes[row] for row in rows]).astype(np.float32)[:, None]
    with torch.no_grad():
        expected = model.embed(torch.from_numpy(volumes)).double().numpy()
    found = embed_clean(model, given.views, rows)
    np.testing.assert_allclose(found, expected, rtol=0, atol=0.01 * np.abs(expected).max())


def test_nobody_has_no_embedding(model):
    assert embed_clean(model, task().views, np.arange(0)).shape == (0, model.embedding_size)


def test_nobody_has_no_age(model):
    assert read_clean(model, task().views, np.arange(0)).shape == (0,)


def test_random_views_follow_the_seed(model):
    first, again, other = (
        fit_regressors(model, task(), settings().model_copy(update={"seed": seed})) for seed in (1, 1, 2)
    )
    assert np.array_equal(first.embedding.weight, again.embedding.weight)
    assert not np.allclose(first.embedding.weight, other.embedding.weight)


@pytest.mark.parametrize("kind", ["ridge", "l1"])
def test_the_regressor_learns_from_every_view_of_a_person(model, kind):
    given = task()
    run = settings().model_copy(
        update={"regressor": settings().regressor.model_copy(update={"kind": kind, "views": 2})}
    )
    regressor = fit_regressors(model, given, run).embedding
    assert len(regressor.left_out_ages) == 3 * len(given.ages)
    errors = regressor.left_out_ages[: len(given.ages)] - given.ages
    assert np.abs(errors).mean() < 0.9 * np.abs(given.ages - given.ages.mean()).mean()
