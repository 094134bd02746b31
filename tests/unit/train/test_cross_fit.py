import dataclasses

import numpy as np
import pytest
import torch

from brainclock.model.folder import save_model
from brainclock.stats.metrics import age_metrics
from brainclock.train.cross_fit import cross_fit
from brainclock.train.fit import fit
from tiny_training import cohort, settings

FOLDS = 3


def mirrored(**changes):
    made = settings(**{"folds": FOLDS, **changes})
    return made.model_copy(update={"encoder": made.encoder.model_copy(update={"mirror": True})})


def volumes(people) -> torch.Tensor:
    return torch.from_numpy(np.stack(people.volumes).astype(np.float32)[:, None])


def weights(model) -> torch.Tensor:
    return torch.cat([tensor.flatten().double() for tensor in model.state_dict().values()])


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    return folder, cross_fit(cohort(), mirrored(), folder=folder, tables=folder)


def test_everybody_has_an_age_from_the_member_that_has_not_seen_them(fitted):
    people, (_, found) = cohort(), fitted
    assert np.array_equal(found.held_out, np.arange(len(people)))
    assert np.array_equal(found.training, np.arange(len(people)))
    for person in set(people.participants):
        assert len({found.folds[row] for row, own in enumerate(people.participants) if own == person}) == 1
    with torch.no_grad():
        ages = torch.stack([member(volumes(people)) for member in found.model.members]).numpy()
    np.testing.assert_allclose(found.predicted_ages, ages[found.folds, np.arange(len(people))], atol=0.1)
    assert found.metrics["validation"]["n"] == len(people)
    assert found.metrics["validation"]["mae"] == pytest.approx(
        np.abs(found.predicted_ages - people.ages).mean()
    )
    assert age_metrics(found.predicted_ages, people.ages)["mae"][0] < 30


def test_the_members_have_other_weights_and_share_the_looks(fitted):
    folder, found = fitted
    assert len(found.model.members) == len(found.familiarity.members) == FOLDS
    kernels = [member.encoder.stem[0].weight for member in found.model.members]
    assert not any(torch.allclose(kernels[0], other, atol=0.01) for other in kernels[1:])
    assert len(list(folder.glob("checkpoint-*.safetensors"))) == FOLDS
    assert len(list(folder.glob("views*.npy"))) == 1
    assert sorted(path.name for path in folder.glob("metrics*")) == [
        f"metrics_fold-{fold}.tsv" for fold in range(FOLDS)
    ]


def test_nobody_has_a_part_in_the_member_that_has_not_seen_them(fitted):
    people, (_, found) = cohort(), fitted
    ages = np.where(found.folds == 1, 99.0, people.ages)
    training, held_out = np.flatnonzero(found.folds != 1), np.flatnonzero(found.folds == 1)
    seed = found.model.members[1].settings.seed
    alone = fit(dataclasses.replace(people, ages=ages), mirrored(), training, held_out, seed=seed)
    assert torch.equal(weights(alone.model), weights(found.model.members[1]))
    np.testing.assert_array_equal(alone.predicted_ages, found.predicted_ages[held_out])


def test_started_again_it_goes_on(fitted, monkeypatch):
    folder, found = fitted
    (sorted(folder.glob("checkpoint-*"))[0]).unlink()
    steps = []
    from brainclock.train import loop

    put_gradient = loop.put_gradient
    monkeypatch.setattr(loop, "put_gradient", lambda *given: steps.append(1) or put_gradient(*given))
    again = cross_fit(cohort(), mirrored(), folder=folder, tables=folder)
    assert len(steps) == mirrored().train.steps, "one member only"
    assert torch.equal(weights(again.model), weights(found.model))


def test_the_mean_is_a_model_that_can_be_kept(fitted, tmp_path):
    from brainclock.model.card import ModelCard, describe_cohort
    from brainclock.model.folder import load_model

    people, (_, found) = cohort(), fitted
    sites = describe_cohort("all", people.participants, list(people.ages), people.sexes)
    card = ModelCard(name="mean", settings=mirrored(), cohorts=(sites,))
    save_model(found.model, card, found.familiarity, tmp_path)
    loaded = load_model(tmp_path)
    with torch.no_grad():
        assert torch.equal(loaded.model(volumes(people)), found.model(volumes(people)))


def test_conventional_regression_is_measured_with_both_heads():
    found = cross_fit(cohort(), settings(objective="l1", folds=2))
    assert found.metrics["validation_ridge"]["n"] == found.metrics["validation"]["n"] == len(cohort())
    assert found.metrics["validation_ridge"] != found.metrics["validation"]


def test_one_fold_is_one_network_with_people_held_out(tmp_path):
    (tmp_path / "metrics_fold-0.tsv").write_text("of an earlier run")
    found = cross_fit(cohort(), settings(), tables=tmp_path)
    assert len(found.model.members) == 1
    assert set(found.held_out).isdisjoint(found.training)
    assert set(found.folds) == {0}
    assert [path.name for path in tmp_path.glob("metrics*")] == ["metrics.tsv"]
