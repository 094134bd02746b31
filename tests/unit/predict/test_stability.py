"""Voxels turned a little: the head stays where it is, and the age hardly moves."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import brainclock.predict.predict as module
from brainclock.errors import ScanRefused
from brainclock.io.nifti import read_volume
from brainclock.io.scan import Scan
from brainclock.io.volume import Volume
from brainclock.predict.predict import predict, predict_scan
from brainclock.predict.stability import AXES, DEGREES, measure_stability, turn_voxels


def ball(centre_mm: tuple[float, float, float] = (5.0, -10.0, 8.0)) -> Volume:
    """A smooth ball of 30 mm on voxels of 2 × 2 × 3 mm, axes flipped and exchanged."""
    affine = np.array([[0, 2.0, 0, -60], [-2.0, 0, 0, 50], [0, 0, 3.0, -60], [0, 0, 0, 1]])
    places = np.indices((60, 60, 40)).reshape(3, -1)
    mm = affine[:3, :3] @ places + affine[:3, 3:]
    away = np.linalg.norm(mm - np.array(centre_mm)[:, None], axis=0).reshape(60, 60, 40)
    data = np.where(away < 30, 50 + 50 * np.cos(np.pi * away / 30), 0)
    return Volume(data.astype(np.float32), affine)


def middle_mm(volume: Volume, weights: np.ndarray) -> np.ndarray:
    places = np.indices(volume.data.shape).reshape(3, -1)
    mm = volume.affine[:3, :3] @ places + volume.affine[:3, 3:]
    return mm @ weights.ravel() / weights.sum()


def test_the_head_stays_where_it_is_and_keeps_its_size() -> None:
    volume = ball()
    mask = volume.data > 0
    turned = list(turn_voxels(volume, mask))
    assert len(turned) == len(AXES) == 4
    for other, inside in turned:
        assert inside is not None
        np.testing.assert_allclose(middle_mm(other, other.data), (5, -10, 8), atol=0.02)
        assert float(other.data.sum()) == pytest.approx(float(volume.data.sum()), rel=0.01)
        assert inside.sum() == pytest.approx(mask.sum(), rel=0.01)
        assert not other.data[~inside].any()  # nothing rings outside the brain
        assert other.data.max() <= volume.data.max()


def test_a_slab_keeps_its_outer_slices() -> None:
    rng = np.random.default_rng(2)
    slab = Volume(rng.uniform(50, 100, (60, 10, 60)).astype(np.float32), np.diag([1.0, 1.0, 1.0, 1.0]))
    for other, inside in turn_voxels(slab, slab.data > 0):
        assert inside is not None
        assert inside.sum() == pytest.approx(slab.data.size, rel=0.01)
        assert other.data[inside].min() >= 50


def test_voxels_are_turned_by_three_degrees_and_keep_their_size() -> None:
    volume = ball()
    directions = []
    for other, _ in turn_voxels(volume):
        turn = other.affine[:3, :3] @ np.linalg.inv(volume.affine[:3, :3])
        np.testing.assert_allclose(turn @ turn.T, np.eye(3), atol=1e-12)
        assert np.rad2deg(np.arccos((np.trace(turn) - 1) / 2)) == pytest.approx(DEGREES)
        directions.append([turn[2, 1] - turn[1, 2], turn[0, 2] - turn[2, 0], turn[1, 0] - turn[0, 1]])
    np.testing.assert_allclose(np.sum(directions, axis=0), 0, atol=1e-12)  # no direction is favoured


def test_the_numbers_are_those_of_the_ages() -> None:
    ages = iter([51.0, 49.0, 50.5, 50.0])
    found = measure_stability(50.0, lambda *_: next(ages), ball())
    assert found is not None
    assert found.sd == pytest.approx(np.std([50, 51, 49, 50.5, 50], ddof=1))
    assert found.largest == 1.0


def test_one_refusal_leaves_it_unknown() -> None:
    def refuse(volume: Volume, mask: np.ndarray | None) -> float:
        raise ScanRefused("contrast", "0.1, allowed 0.2", {})

    assert measure_stability(50.0, refuse, ball()) is None


def test_a_scan_has_the_same_stability_by_path_and_by_image(brains: list[Scan], model_folder: Path) -> None:
    scan = brains[0]
    plain = predict_scan(scan, model_folder)
    found = predict_scan(scan, model_folder, stability=True)
    assert found.predicted_age == plain.predicted_age
    assert plain.stability_sd is plain.stability_max is None
    assert found.stability_sd is not None
    assert found.stability_max is not None
    assert 0 < found.stability_sd < found.stability_max < 30
    assert scan.mask_path is not None
    mask = read_volume(scan.mask_path).data > 0
    volume = read_volume(scan.path)
    again = predict(volume, model_folder, mask=mask, in_template=True, stability=True)
    assert again == found


def test_a_scan_that_is_refused_when_turned_is_flagged(
    brains: list[Scan], model_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*arguments: object, **options: object) -> None:
        raise ScanRefused("contrast", "0.1, allowed 0.2", {})

    monkeypatch.setattr(module, "prepare_volume", refuse)
    found = predict_scan(brains[0], model_folder, stability=True)
    assert found.predicted_age is not None
    assert found.stability_sd is None
    assert found.flags[-1] == "refused_when_turned"
