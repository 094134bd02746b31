from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from scipy.ndimage import affine_transform

from brainclock.config import GateSettings, Grid, PrepareSettings
from brainclock.errors import InputError, ScanRefused
from brainclock.io.nifti import write_volume
from brainclock.io.volume import Volume
from brainclock.prepare.chain import prepare_volume, read_mask
from brainclock.prepare.orient import reorient
from brainclock.prepare.prepared import PreparedScan
from brainclock.prepare.quality import MEASURES
from brainclock.prepare.snapshot import Snapshot
from brainclock.prepare.template import load_template
from brainclock.simulate.head import head_pose, simulate_brain

SETTINGS = PrepareSettings()
FAST = PrepareSettings(bias="none")
#: Order and direction of the array axes.
STORED = [((0, 1, 2), (-1, 1, 1)), ((1, 2, 0), (-1, 1, -1)), ((2, 0, 1), (-1, -1, 1))]


def stored(image: np.ndarray, order: tuple[int, ...], flips: tuple[int, ...]) -> np.ndarray:
    return np.ascontiguousarray(image.transpose(order)[tuple(slice(None, None, f) for f in flips)])


def stored_affine(head: Volume, order: tuple[int, ...], flips: tuple[int, ...]) -> np.ndarray:
    to_old = np.zeros((4, 4))
    to_old[3, 3] = 1
    for new, (old, flip) in enumerate(zip(order, flips, strict=True)):
        to_old[old, new] = flip
        to_old[old, 3] = 0 if flip > 0 else head.data.shape[old] - 1
    return head.affine @ to_old


def test_a_head_lands_where_the_template_is(prepared: PreparedScan) -> None:
    """The simulated brain is the template itself, so the prepared one must look like it, voxel by voxel."""
    template = load_template()
    where = np.linalg.inv(template.affine) @ prepared.grid.matrix
    there = affine_transform(
        template.t1, where[:3, :3], where[:3, 3], output_shape=prepared.grid.shape, order=1
    )
    brain = (there > 0.2) & prepared.mask
    assert np.corrcoef(there[brain], prepared.data[brain])[0, 1] > 0.88
    corners = np.c_[template.corners_mm, np.ones(8)]
    off = corners @ (prepared.template_to_scan - head_pose(3)).T
    assert np.linalg.norm(off[:, :3], axis=1).max() < 3


def test_the_mask_can_be_read_off_the_image(prepared: PreparedScan) -> None:
    np.testing.assert_array_equal(prepared.mask, prepared.data > 0)
    assert np.percentile(prepared.data[prepared.mask], 95) == pytest.approx(1, abs=1e-6)


def test_every_measure_is_described_and_finite(prepared: PreparedScan) -> None:
    assert set(prepared.quality) <= set(MEASURES)
    assert all(math.isfinite(value) for value in prepared.quality.values())
    assert prepared.quality["template_r2"] > 0.9
    assert prepared.quality["coverage"] == 1


def test_the_same_head_gives_the_same_bytes(
    head: Volume, brain_mask: np.ndarray, prepared: PreparedScan
) -> None:
    again = prepare_volume(head, SETTINGS, mask=brain_mask)
    assert again.data.tobytes() == prepared.data.tobytes()
    assert again.template_to_scan.tobytes() == prepared.template_to_scan.tobytes()
    assert (again.quality, again.provenance) == (prepared.quality, prepared.provenance)


@pytest.mark.parametrize(("order", "flips"), STORED)
def test_how_a_head_is_stored_does_not_matter(
    head: Volume,
    brain_mask: np.ndarray,
    prepared: PreparedScan,
    order: tuple[int, ...],
    flips: tuple[int, ...],
) -> None:
    other = Volume(stored(head.data, order, flips), stored_affine(head, order, flips))
    mask = stored(brain_mask, order, flips)
    result = prepare_volume(other, SETTINGS, mask=mask)
    np.testing.assert_allclose(result.data, prepared.data, atol=1e-4)
    np.testing.assert_allclose(result.template_to_scan, prepared.template_to_scan, atol=1e-4)
    np.testing.assert_array_equal(result.own.mask(), mask)


def overlap(one: np.ndarray, other: np.ndarray) -> float:
    return float(2 * (one & other).sum() / (one.sum() + other.sum()))


def test_the_brain_is_found_however_the_head_is_stored(head: Volume, brain_mask: np.ndarray) -> None:
    order, flips = STORED[1]
    plain = prepare_volume(head, FAST)
    other = Volume(stored(head.data, order, flips), stored_affine(head, order, flips))
    result = prepare_volume(other, FAST)
    assert result.provenance["BrainMask"] == "deepbet"
    assert overlap(plain.own.mask(), brain_mask) > 0.98
    assert overlap(result.own.mask(), stored(plain.own.mask(), order, flips)) > 0.9999
    both = result.mask & plain.mask
    np.testing.assert_allclose(result.data[both], plain.data[both], atol=1e-3)
    assert overlap(result.mask, plain.mask) > 0.9999


def test_a_head_that_was_turned_in_the_scanner_is_prepared_alike(head: Volume) -> None:
    turn = np.deg2rad(35)
    move = np.eye(4)
    move[1:3, 1:3] = [[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]
    shape = (100, 150, 150)
    affine = np.diag([2.0, 2.0, 2.0, 1.0])
    middle = head.affine[:3, :3] @ (np.array(head.data.shape) - 1) / 2 + head.affine[:3, 3]
    affine[:3, 3] = move[:3, :3] @ middle - 2 * (np.array(shape) - 1) / 2
    where = np.linalg.inv(move @ head.affine) @ affine
    data = affine_transform(head.data, where[:3, :3], where[:3, 3], output_shape=shape, order=3)
    plain, turned = (
        prepare_volume(scan, FAST) for scan in (head, Volume(data.clip(0).astype(np.float32), affine))
    )
    assert np.corrcoef(plain.data[plain.mask], turned.data[plain.mask])[0, 1] > 0.97
    apart = (
        np.c_[load_template().corners_mm, np.ones(8)]
        @ (turned.template_to_scan - move @ plain.template_to_scan).T
    )
    assert np.linalg.norm(apart[:, :3], axis=1).max() < 1


def test_a_tilted_header_only_turns_the_map(
    head: Volume, brain_mask: np.ndarray, prepared: PreparedScan
) -> None:
    turn = np.deg2rad(35)
    move = np.eye(4)
    move[1:3, 1:3] = [[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]
    move[:3, 3] = 40, -40, 25
    result = prepare_volume(Volume(head.data, move @ head.affine), SETTINGS, mask=brain_mask)
    both = result.mask & prepared.mask
    assert np.corrcoef(result.data[both], prepared.data[both])[0, 1] > 0.995
    np.testing.assert_allclose(result.template_to_scan, move @ prepared.template_to_scan, atol=0.2)


def inverted(head: Volume, mask: np.ndarray) -> tuple[Volume, np.ndarray]:
    data = np.where(mask, np.maximum(900 - head.data, 1), head.data)
    return Volume(data.astype(np.float32), head.affine), mask


def upside_down(head: Volume, mask: np.ndarray) -> tuple[Volume, np.ndarray]:
    return Volume(head.data, np.diag([1.0, 1.0, -1.0, 1.0]) @ head.affine), mask


def half_a_brain(head: Volume, mask: np.ndarray) -> tuple[Volume, np.ndarray]:
    half = mask.copy()
    half[: len(half) // 2] = False
    return head, half


def cut_off(head: Volume, mask: np.ndarray) -> tuple[Volume, np.ndarray]:
    """The field of view ends where 5 % of the brain lie above it."""
    below = np.cumsum(mask.sum(axis=(0, 1))) / mask.sum()
    top = int(np.searchsorted(below, 0.95))
    return Volume(np.ascontiguousarray(head.data[..., :top]), head.affine), mask[..., :top].copy()


def twice_as_large(head: Volume, mask: np.ndarray) -> tuple[Volume, np.ndarray]:
    return Volume(head.data, np.diag([2.0, 2.0, 2.0, 1.0]) @ head.affine), mask


@pytest.mark.parametrize(
    ("make", "figures"),
    [
        # what is fitted to an inverted brain is chance: which of the two gates it meets first is, too
        (inverted, {"contrast": "contrast", "mirror_margin": "mirror_margin"}),
        (upside_down, {"mirror_margin": "mirror_margin"}),
        (half_a_brain, {"axis_scale": "axis_scale_min"}),
        (cut_off, {"coverage": "coverage"}),
        (twice_as_large, {"brain_volume": "brain_volume_ml"}),
    ],
)
def test_what_is_no_whole_t1w_brain_is_refused_with_the_figure(
    head: Volume, brain_mask: np.ndarray, make: object, figures: dict[str, str]
) -> None:
    volume, mask = make(head, brain_mask)  # type: ignore[operator]
    with pytest.raises(ScanRefused) as refusal:
        prepare_volume(volume, FAST, mask=mask)
    assert figures[refusal.value.gate] in refusal.value.figures


def test_noise_is_refused(head: Volume) -> None:
    noise = np.abs(np.random.default_rng(0).normal(size=head.data.shape)).astype(np.float32)
    with pytest.raises(ScanRefused) as refusal:
        prepare_volume(Volume(noise, head.affine), FAST)
    assert refusal.value.gate == "brain_volume"


def test_a_snapshot_is_filled_as_far_as_a_refused_scan_gets(head: Volume, brain_mask: np.ndarray) -> None:
    seen = Snapshot()
    with pytest.raises(ScanRefused, match="brain_volume"):
        prepare_volume(*twice_as_large(head, brain_mask)[:1], FAST, mask=brain_mask, snapshot=seen)
    assert seen.head is not None
    assert seen.brain is not None
    assert seen.brain.shape == seen.head.data.shape
    assert seen.template_to_scan is None
    coarse = Volume(head.data[::9, ::9, ::9].copy(), head.affine @ np.diag([9, 9, 9, 1.0]))
    seen = Snapshot()
    with pytest.raises(ScanRefused, match="voxel_size"):
        prepare_volume(coarse, FAST, snapshot=seen)
    assert seen.head is not None
    assert seen.brain is None


def test_a_snapshot_says_where_the_template_lies_in_the_head(head: Volume, brain_mask: np.ndarray) -> None:
    seen = Snapshot()
    result = prepare_volume(head, FAST, mask=brain_mask, snapshot=seen)
    np.testing.assert_array_equal(seen.template_to_scan, result.template_to_scan)
    template = load_template()
    to_head = np.linalg.inv(seen.head.affine) @ seen.template_to_scan @ template.affine
    there = affine_transform(
        seen.brain.astype(float), to_head[:3, :3], to_head[:3, 3], output_shape=template.mask.shape, order=1
    )
    both = 2 * ((there > 0.5) & template.mask).sum() / ((there > 0.5).sum() + template.mask.sum())
    assert both > 0.85


def test_a_sphere_is_refused(head: Volume) -> None:
    x, y, z = np.ogrid[tuple(slice(-(n // 2), n - n // 2) for n in head.data.shape)]
    ball = (x**2 + y**2 + z**2 < 35**2) * np.float32(500)
    noise = 20 * np.random.default_rng(0).uniform(size=ball.shape)
    with pytest.raises(ScanRefused) as refusal:
        prepare_volume(Volume((ball + noise).astype(np.float32), head.affine), FAST)
    assert refusal.value.figures["brain_volume_ml"] > 0


def test_a_mask_that_does_not_fit_is_an_input_error(head: Volume, brain_mask: np.ndarray) -> None:
    with pytest.raises(InputError, match="no voxel"):
        prepare_volume(head, FAST, mask=np.zeros_like(brain_mask))
    with pytest.raises(InputError, match=r"shape \(89, 118, 120\)"):
        prepare_volume(head, FAST, mask=brain_mask[1:].copy())


def test_a_mask_that_lies_elsewhere_is_an_input_error(head: Volume, tmp_path: Path) -> None:
    path, mask = tmp_path / "mask.nii.gz", head.data > 100
    for shift_mm, fits in ((0.9, True), (1.1, False)):
        affine = head.affine.copy()
        affine[2, 3] += shift_mm
        write_volume(path, mask, affine, dtype=np.uint8)
        if fits:
            np.testing.assert_array_equal(read_mask(path, head), mask)
        else:
            with pytest.raises(InputError, match=r"up to 1\.1 mm from those of"):
                read_mask(path, head)
    write_volume(path, mask, np.diag([1.0, -1.0, 1.0, 1.0]) @ head.affine, dtype=np.uint8)
    with pytest.raises(InputError, match="Give the scan's own mask"):
        read_mask(path, head)


def test_a_stripped_brain_is_recognised_and_looks_like_the_raw_one(prepared: PreparedScan) -> None:
    result = prepare_volume(simulate_brain(3, spacing_mm=2.0), SETTINGS)
    assert result.provenance["Stripped"] is True
    assert result.provenance["BrainMask"] == "deepbet within the given brain"
    both = result.mask & prepared.mask
    assert 2 * both.sum() / (result.mask.sum() + prepared.mask.sum()) > 0.97
    assert np.corrcoef(result.data[both], prepared.data[both])[0, 1] > 0.95


def test_a_slab_on_its_own_oblique_grid_is_not_interpolated() -> None:
    template = load_template()
    turn = np.eye(4)
    turn[1:3, 1:3] = [[0.998, -0.063], [0.063, 0.998]]
    affine = turn @ template.affine @ np.diag([1.0, 1.0, 1.0, 1.0])
    affine[:3, 3] += affine[:3, :3] @ [0, 58, 0]
    data = np.ascontiguousarray(template.t1[:, 58:64] * template.mask[:, 58:64]) * np.float32(700)
    rows = tuple(tuple(row) for row in affine.tolist())
    grid = Grid(shape=data.shape, affine=rows)
    settings = PrepareSettings(grid=grid, bias="none", gates=GateSettings(min_contrast=-1.0))
    result = prepare_volume(Volume(data, affine), settings, in_template=True, stripped=True)
    np.testing.assert_array_equal(result.mask, data > 0)
    white = np.percentile(data[data > 0], 95)
    np.testing.assert_allclose(
        result.data[result.mask], np.clip(data / white, 1e-3, 1.6)[data > 0], rtol=1e-5
    )
    np.testing.assert_array_equal(result.template_to_scan, np.eye(4))
    with pytest.raises(ScanRefused, match="coverage: 0"):  # it says nothing of the rest of the brain
        prepare_volume(Volume(data, affine), SETTINGS, in_template=True, stripped=True)


def test_reorienting_keeps_a_volume_that_lies_right(head: Volume) -> None:
    np.testing.assert_array_equal(reorient(head).data, head.data)
