import dataclasses

import numpy as np
import pytest
import torch

from brainclock.errors import ConfigError, InputError
from brainclock.train.fit import fit
from brainclock.train.split import hold_out
from tiny_training import cohort, settings


def sides(people, fraction=0.25):
    return hold_out(people.ages, people.participants, people.sites, fraction, 1)


def weights(fitted) -> torch.Tensor:
    return torch.cat([tensor.flatten().double() for tensor in fitted.model.state_dict().values()])


@pytest.fixture(scope="module")
def fitted():
    people = cohort()
    return fit(people, settings(), *sides(people))


def test_the_model_says_the_ages_of_the_people_held_out(fitted):
    people = cohort()
    _, held_out = sides(people)
    volumes = torch.from_numpy(np.stack([people.volumes[row] for row in held_out])[:, None])
    with torch.no_grad():
        ages = fitted.model(volumes.float()).numpy()
    np.testing.assert_allclose(fitted.predicted_ages, ages, atol=0.1)
    error = float(np.abs(fitted.predicted_ages - people.ages[held_out]).mean())
    assert fitted.metrics["validation"]["mae"] == pytest.approx(error)
    assert fitted.metrics["validation"]["n"] == len(held_out)


def test_measures_are_given_for_each_site(fitted):
    names = {"left_out_in_training", "validation", "validation, north", "validation, south"}
    assert set(fitted.metrics) == names
    north, south = fitted.metrics["validation, north"], fitted.metrics["validation, south"]
    assert north["n"] + south["n"] == fitted.metrics["validation"]["n"]


def test_a_folder_changes_nothing_and_is_taken_up(tmp_path, fitted, monkeypatch):
    people = cohort()
    kept = fit(people, settings(), *sides(people), folder=tmp_path, table=tmp_path / "metrics.tsv")
    assert torch.equal(weights(kept), weights(fitted))
    monkeypatch.setattr("brainclock.train.loop.put_gradient", lambda *_: pytest.fail("trained again"))
    again = fit(people, settings(), *sides(people), folder=tmp_path)
    assert torch.equal(weights(again), weights(fitted))


def test_another_training_in_the_folder_leaves_the_first_ones_checkpoint(tmp_path, fitted):
    people = cohort()
    fit(people, settings(), *sides(people), folder=tmp_path)
    other = fit(people, settings(temperature=1.0), *sides(people), folder=tmp_path)
    assert not torch.equal(weights(other), weights(fitted))
    assert len(list(tmp_path.glob("checkpoint-*.safetensors"))) == 2


def test_the_people_held_out_have_no_part_in_the_model(fitted):
    people = cohort()
    training, held_out = sides(people)
    volumes = list(people.volumes)
    ages = people.ages.copy()
    for row in held_out:
        volumes[row] = np.where(volumes[row] > 0, np.float16(0.5), np.float16(0))
        ages[row] = 99.0
    changed = dataclasses.replace(people, volumes=tuple(volumes), ages=ages)
    again = fit(changed, settings(), training, held_out)
    assert torch.equal(weights(again), weights(fitted))
    assert again.metrics["left_out_in_training"] == fitted.metrics["left_out_in_training"]
    assert again.metrics["validation"] != fitted.metrics["validation"]


@pytest.mark.parametrize("objective", ["l1", "mse"])
def test_conventional_regression_keeps_the_head_it_was_trained_with(objective):
    people = cohort()
    fitted = fit(people, settings(objective=objective), *sides(people))
    assert not np.allclose(
        fitted.model.regressor.weight.detach().numpy()[0], fitted.regressors.embedding.weight
    )
    assert fitted.metrics["validation"] != fitted.metrics["validation_ridge"]


def test_blocks_add_a_regressor_and_change_nothing_in_the_encoder(fitted):
    people = cohort()
    regressor = settings().regressor.model_copy(update={"blocks": 2})
    blocks = settings().model_copy(update={"regressor": regressor})
    both = fit(people, blocks, *sides(people))
    for weight, other in zip(both.model.encoder.parameters(), fitted.model.encoder.parameters(), strict=True):
        assert torch.equal(weight, other)
    own, pixels = both.regressors.embedding, both.regressors.blocks
    assert pixels is not None
    np.testing.assert_array_equal(own.weight, fitted.regressors.embedding.weight)
    expected = (own.left_out_ages + pixels.left_out_ages) / 2
    np.testing.assert_array_equal(both.regressors.left_out_ages, expected)
    volumes = torch.from_numpy(np.stack([people.volumes[row] for row in sides(people)[1]])[:, None]).float()
    with torch.no_grad():
        model = both.model
        images = model.see(volumes)
        ages = own.predict(model.encode(images).double().numpy())
        ages += pixels.predict(model.block_means(images).double().numpy())
    np.testing.assert_allclose(both.predicted_ages, ages / 2, atol=0.05)  # the looks are kept in half


def test_blocks_beside_a_trained_regressor_are_refused():
    people = cohort()
    regressor = settings().regressor.model_copy(update={"blocks": 2})
    wrong = settings(objective="l1").model_copy(update={"regressor": regressor})
    with pytest.raises(ConfigError, match=r"regressor\.blocks = 2, but .* l1"):
        fit(people, wrong, *sides(people))


def test_everybody_may_train():
    people = cohort()
    fitted = fit(people, settings(), *sides(people, 0.0))
    assert set(fitted.metrics) == {"left_out_in_training"}
    assert len(fitted.predicted_ages) == 0


def test_sites_in_balance_take_other_steps(fitted):
    people = cohort()
    assert not torch.equal(
        weights(fit(people, settings(balance_sites=True), *sides(people))), weights(fitted)
    )


def test_half_precision_trains_alike(fitted):
    people = cohort()
    mixed = settings().model_copy(update={"precision": "bf16-mixed"})
    try:
        half = fit(people, mixed, *sides(people))
    except ConfigError:  # bfloat16 kernels of CPUs give NaN once in a great while; the training stops then
        half = fit(people, mixed, *sides(people))
    assert half.model.regressor.weight.dtype == torch.float32
    difference = (weights(half) - weights(fitted))[: -len(half.regressors.embedding.weight) - 1]
    assert 0 < difference.abs().max() < 0.05


def test_two_processes_give_the_model_of_one(tmp_path, fitted):
    people = cohort()
    two = settings().model_copy(update={"processes": 2})
    together = fit(people, two, *sides(people), folder=tmp_path, table=tmp_path / "metrics.tsv")
    np.testing.assert_allclose(together.predicted_ages, fitted.predicted_ages, atol=0.05)
    assert (tmp_path / "metrics.tsv").is_file()


def test_somebody_on_both_sides_is_refused():
    people = cohort()
    training, held_out = sides(people)
    with pytest.raises(InputError, match="who trains"):
        fit(people, settings(), np.append(training, held_out[0]), held_out)


def test_too_few_people_are_refused():
    people = cohort()
    with pytest.raises(InputError, match="found 9, expected at least 10"):
        fit(people, settings(), np.arange(11), np.arange(0))  # 9 people, two of them twice


def test_a_loss_that_is_no_number_ends_the_training(monkeypatch):
    people = cohort()
    monkeypatch.setattr("brainclock.train.loop.put_gradient", lambda *_: float("nan"))
    with pytest.raises(ConfigError, match=r"At step 1 .* train\.learning_rate"):
        fit(people, settings(), *sides(people))


def test_soft_labels_leave_their_head_and_the_model_has_the_regressor():
    people = cohort()
    training, held_out = sides(people)
    fitted = fit(people, settings(objective="soft-label"), training, held_out)
    np.testing.assert_allclose(
        fitted.model.regressor.weight[0].detach(), fitted.regressors.embedding.weight, rtol=1e-5
    )
    with torch.no_grad():
        ages = fitted.head.read(torch.zeros(1, fitted.model.embedding_size))
    assert 20 < ages.item() < 80
    assert "validation_ridge" not in fitted.metrics


def test_a_second_stage_begins_where_the_first_ended(tmp_path):
    people = cohort()
    training, held_out = sides(people)
    first = fit(people, settings(), training, held_out, folder=tmp_path)
    still = settings(objective="l1", steps=1, learning_rate=1e-12, ema=0.0)
    second = fit(people, still, training, held_out, start=first.model, folder=tmp_path)
    np.testing.assert_allclose(second.predicted_ages, first.predicted_ages, atol=1e-3)
    other = fit(people, still, training, held_out, folder=tmp_path)
    assert np.abs(other.predicted_ages - first.predicted_ages).max() > 1
