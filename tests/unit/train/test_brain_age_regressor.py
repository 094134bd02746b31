from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

import nibabel
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV, GroupKFold, cross_val_predict, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.estimator_checks import parametrize_with_checks

import tiny_training
from brainclock.config import Grid
from brainclock.errors import ConfigError, InputError
from brainclock.io.find import find_scans
from brainclock.io.scan import Scan
from brainclock.io.volume import Volume
from brainclock.model.folder import LoadedModel, load_model
from brainclock.model.regressor import fit_ridge
from brainclock.prepare.chain import prepare_scan
from brainclock.train.brain_age_regressor import BrainAgeRegressor
from tiny_model import GRID, build_model_folder, write_brain

PEOPLE = 12
AGES = np.linspace(20.0, 75.0, PEOPLE)


#: Checks of scikit-learn that cannot pass here, and why.
CANNOT_PASS = {
    "check_do_not_raise_errors_in_init_or_set_params": "it gives -1 for everything, and the tests check types"
}


@parametrize_with_checks([BrainAgeRegressor(None)], expected_failed_checks=lambda _: CANNOT_PASS)
def test_it_is_an_estimator(estimator: BrainAgeRegressor, check) -> None:
    """On tables. With an encoder it refuses the tables of these checks: they are not its embeddings."""
    check(estimator)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("regressor")
    for person in range(PEOPLE):
        name = f"sub-{person + 1:02}"
        write_brain(folder / "scans" / name / "anat", f"{name}_space-MNI152NLin2009aSym", person)
    build_model_folder(folder / "model")
    return folder


@pytest.fixture(scope="module")
def scans(folder: Path) -> list[Scan]:
    return find_scans([folder / "scans"])


@pytest.fixture(scope="module")
def loaded(folder: Path) -> LoadedModel:
    return load_model(folder / "model")


@pytest.fixture(scope="module")
def table(scans: list[Scan], loaded: LoadedModel) -> np.ndarray:
    return BrainAgeRegressor(loaded).embed(scans)


def test_a_table_holds_the_age_by_the_model_and_the_embedding(scans, loaded, table) -> None:
    import torch

    prepared = prepare_scan(scans[3], loaded.card.settings.prepare)
    with torch.inference_mode():
        embedding, age = loaded.model.look(torch.from_numpy(prepared.data)[None, None])
    assert table.shape == (PEOPLE, 1 + loaded.model.embedding_size)
    assert np.allclose(table[3], [*age, *embedding[0]], atol=1e-4)


def test_all_that_is_an_image_gives_the_same(scans, loaded, table) -> None:
    scan, settings = scans[3], loaded.card.settings.prepare
    prepared = prepare_scan(scan, settings)
    regressor = BrainAgeRegressor(loaded)
    for same in (scan.path, str(scan.path), prepared, prepared.data):
        assert np.allclose(regressor.embed([same]), table[3:4], atol=1e-4)
    assert np.allclose(regressor.embed(np.stack([prepared.data] * 2)), table[[3, 3]], atol=1e-4)


def test_volumes_and_images_of_nibabel_are_prepared(folder, loaded) -> None:
    image = nibabel.load(folder / "scans" / "sub-01" / "anat" / "sub-01_space-MNI152NLin2009aSym_T1w.nii.gz")
    volume = Volume(np.asarray(image.dataobj, np.float32), image.affine)
    by_volume, by_image = BrainAgeRegressor(loaded).embed([volume, image])
    assert np.isfinite(by_volume).all()
    assert np.allclose(by_volume, by_image, atol=1e-4)


def test_few_people_shift_the_model_and_many_teach_it(table, loaded) -> None:
    rng = np.random.default_rng(1)
    embeddings = rng.normal(0, 1, (200, table.shape[1] - 1))
    shift, noise = 7.0, rng.normal(0, 3, 200)
    own = 20 * embeddings[:, :3].sum(axis=1)  # what this scanner shows and the model does not know
    by_model = rng.uniform(20, 80, 200)
    rows = np.column_stack([by_model, embeddings])
    few = BrainAgeRegressor(loaded).fit(rows[:10], by_model[:10] + shift + noise[:10])
    assert np.abs(few.predict(rows) - by_model - shift).mean() < 2.5
    many = BrainAgeRegressor(loaded).fit(rows[:150], (by_model + own + noise)[:150])
    error = np.abs(many.predict(rows[150:]) - (by_model + own)[150:]).mean()
    assert error < 3 < np.abs(own).mean() / 4
    assert few.alpha_ > 50 * many.alpha_


def test_people_left_out_are_predicted_as_by_a_fit_without_them(table, loaded) -> None:
    regressor = BrainAgeRegressor(loaded, log10_alpha=(3.0, 3.0, 1))
    people = [f"p{row // 2}" for row in range(PEOPLE)]
    fitted = clone(regressor).fit(table, AGES, participants=people)
    expected = table[:, 0] + fit_ridge(table[:, 1:], AGES - table[:, 0], people, (3.0, 3.0, 1)).left_out_ages
    assert np.allclose(fitted.left_out_ages_, expected)
    spread = table[:, 1:].std(axis=0)
    features = (table[:, 1:] - table[:, 1:].mean(axis=0)) / np.where(spread > 1e-9, spread, np.inf)
    naive = Ridge(alpha=1e3).fit(features, AGES - table[:, 0]).predict(features) + table[:, 0]
    assert np.allclose(fitted.predict(table), naive, atol=1e-3)


def test_it_works_with_the_tools_of_scikit_learn(scans, loaded, table) -> None:
    regressor = BrainAgeRegressor(loaded)
    people = [scan.participant_id for scan in scans]
    by_table = cross_val_predict(regressor, table, AGES, groups=people, cv=GroupKFold(3))
    by_scans = cross_val_predict(regressor, scans, AGES, groups=people, cv=GroupKFold(3))
    assert np.allclose(by_table, by_scans, atol=1e-6)
    in_pipeline = make_pipeline(FunctionTransformer(list), regressor)
    paths = [scan.path for scan in scans]
    scores = cross_val_score(in_pipeline, paths, AGES, cv=3, scoring="neg_mean_absolute_error")
    assert np.isfinite(scores).all()
    search = GridSearchCV(regressor, {"log10_alpha": [(0.0, 0.0, 1), (9.0, 9.0, 1)]}, cv=3).fit(table, AGES)
    assert search.best_params_["log10_alpha"] in [(0.0, 0.0, 1), (9.0, 9.0, 1)]


def test_parameters_can_be_read_set_and_cloned(loaded) -> None:
    regressor = BrainAgeRegressor("slab").set_params(workers=2)
    assert regressor.get_params() == {"encoder": "slab", "log10_alpha": (-3.0, 9.0, 49), "workers": 2}
    assert clone(regressor).get_params() == regressor.get_params()
    assert clone(BrainAgeRegressor(loaded)).encoder.card == loaded.card


def test_a_refused_scan_takes_no_part_and_gets_no_number(
    scans, loaded, table, caplog: pytest.LogCaptureFixture
) -> None:
    prepared = prepare_scan(scans[0], loaded.card.settings.prepare)
    elsewhere = replace(prepared, grid=Grid.box(GRID.shape, (8.0, 8.0, 8.0), (0.0, 0.0, 0.0)))
    images, ages = [scans[0], elsewhere, *scans[1:]], [AGES[0], 50.0, *AGES[1:]]
    caplog.set_level(logging.WARNING, logger="brainclock")
    fitted = BrainAgeRegressor(loaded).fit(images, ages)
    assert list(fitted.refused_) == [1]
    assert fitted.refused_[1] in caplog.text
    assert np.isnan(fitted.left_out_ages_).tolist() == [row == 1 for row in range(PEOPLE + 1)]
    predicted = fitted.predict(images)
    assert np.isnan(predicted).tolist() == [row == 1 for row in range(PEOPLE + 1)]
    assert np.allclose(np.delete(predicted, 1), BrainAgeRegressor(loaded).fit(table, AGES).predict(table))
    with pytest.raises(InputError, match="none that could be prepared"):
        BrainAgeRegressor(loaded).fit([elsewhere] * 2, [50.0, 60.0])


def test_a_network_is_trained_from_settings() -> None:
    cohort = tiny_training.cohort()
    images = [volume.astype(np.float32) for volume in cohort.volumes]
    settings = tiny_training.settings(steps=60, validation_fraction=0.2)
    fitted = BrainAgeRegressor(settings).fit(images, cohort.ages, cohort.participants)
    predicted = fitted.predict(images)
    assert np.corrcoef(predicted, cohort.ages)[0, 1] > 0.8
    held_out = np.isfinite(fitted.left_out_ages_)
    assert np.allclose(fitted.left_out_ages_[held_out], predicted[held_out], atol=0.1)
    out = {person for person, left in zip(cohort.participants, held_out, strict=True) if left}
    assert len(out) == 4


@pytest.mark.parametrize(
    ("encoder", "X", "found"),
    [
        ("tiny", np.zeros((5, 3)), "3 columns"),
        ("tiny", [np.ones((3, 3, 3))] * 5, "none that could be prepared"),
        ("settings", np.zeros((5, 3)), "no images"),
        (None, [np.ones((3, 3, 3))] * 5, "images and encoder=None"),
        ("tiny", ["nowhere.nii.gz"] * 5, "no such file"),
    ],
)
def test_what_cannot_be_used_is_refused(encoder, X, found, loaded) -> None:
    encoder = {"tiny": loaded, "settings": tiny_training.settings(), None: None}[encoder]
    with pytest.raises(InputError, match=found):
        BrainAgeRegressor(encoder).fit(X, [20.0, 30.0, 40.0, 50.0, 60.0])


def test_only_images_can_be_embedded_and_only_by_an_encoder(loaded, scans) -> None:
    for regressor, given in (
        (BrainAgeRegressor(None), scans),
        (BrainAgeRegressor(loaded), np.zeros((2, 2))),
        (BrainAgeRegressor(tiny_training.settings()), scans),
    ):
        with pytest.raises(InputError, match=r"BrainAgeRegressor\.embed"):
            regressor.embed(given)


def test_painted_looks_need_brainclock_train(scans) -> None:
    settings = tiny_training.settings()
    painted = settings.model_copy(update={"augment": settings.augment.model_copy(update={"synthetic": 0.5})})
    with pytest.raises(ConfigError, match=r"brainclock\.train"):
        BrainAgeRegressor(painted).fit(scans, AGES)
