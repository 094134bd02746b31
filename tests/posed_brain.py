"""Brains whose map from the template is known, and SimpleITK to register them with."""

from __future__ import annotations

import importlib.util
from functools import cache
from pathlib import Path

import nibabel
import numpy as np
from numpy import ndarray
from scipy import ndimage

from brainclock.io.volume import Volume
from brainclock.prepare.affine_fit import rotation
from brainclock.prepare.template import load_template

_SOURCE = "mni_icbm152_t1_tal_nlin_sym_09a_converted.nii.gz"


def make_pose(
    turn_degrees: tuple[float, ...] = (0.0, 0.0, 0.0),
    scales: tuple[float, ...] = (0.92, 0.92, 0.92),
    shears: tuple[float, ...] = (0.0, 0.0, 0.0),
    shift_mm: tuple[float, ...] = (0.0, 0.0, 0.0),
) -> ndarray:
    """Map from template mm to scan mm, shape (4, 4); the centre of the template brain goes to ``shift_mm``.

    ``turn_degrees`` is the axis of the turn, as long as its angle.
    """
    stretch = np.diag(scales)
    stretch[np.triu_indices(3, 1)] = shears
    pose = np.eye(4)
    pose[:3, :3] = rotation(np.deg2rad(turn_degrees)) @ stretch
    pose[:3, 3] = shift_mm - pose[:3, :3] @ load_template().centroid_mm
    return pose


def draw_pose(rng: np.random.Generator, degrees: float) -> ndarray:
    """Turned about any axis, 0.85 to 1.15 as long along each, sheared by up to 0.08, up to 40 mm away."""
    axis = rng.standard_normal(3)
    turn = degrees * axis / np.linalg.norm(axis)
    return make_pose(turn, rng.uniform(0.85, 1.15, 3), rng.uniform(-0.08, 0.08, 3), rng.uniform(-40, 40, 3))


def pose_brain(
    pose: ndarray, spacing_mm: tuple[float, float, float] = (2.0, 2.0, 2.0)
) -> tuple[Volume, ndarray]:
    """Return the template of 1 mm as a scan sees it, each voxel the mean of its box, and the brain mask."""
    image, affine = _template()
    corners = move(load_template().corners_mm, pose)
    brain = _scan(Volume(image, pose @ affine), np.eye(3), spacing_mm, corners)
    return brain, brain.data > 0.2


def scan_again(
    brain: Volume, mask: ndarray, turn_degrees: tuple[float, ...], spacing_mm: tuple[float, float, float]
) -> tuple[Volume, ndarray]:
    """Return the same brain in the same place on another grid: axes turned, voxels of another size."""
    axes = rotation(np.deg2rad(turn_degrees))
    points = move(np.argwhere(mask), brain.affine)
    inside = _scan(Volume(mask.astype(np.float32), brain.affine), axes, spacing_mm, points)
    return _scan(brain, axes, spacing_mm, points), inside.data > 0.5


def _scan(source: Volume, axes: ndarray, spacing_mm: tuple[float, float, float], points: ndarray) -> Volume:
    """Return an image on a grid along ``axes`` that holds the points and 10 mm more, by means over voxels."""
    low, high = (points @ axes).min(axis=0) - 10, (points @ axes).max(axis=0) + 10
    steps = np.array(spacing_mm)
    parts = np.maximum(1, np.round(steps / min(source.spacing_mm))).astype(int)
    shape = np.ceil((high - low) / steps).astype(int)
    fine = np.eye(4)
    fine[:3, :3] = axes * (steps / parts)
    fine[:3, 3] = axes @ low
    to_voxel = np.linalg.inv(source.affine) @ fine
    data = ndimage.affine_transform(
        source.data, to_voxel[:3, :3], to_voxel[:3, 3], output_shape=tuple(shape * parts), order=1
    )
    data = data.reshape(shape[0], parts[0], shape[1], parts[1], shape[2], parts[2]).mean(axis=(1, 3, 5))
    affine = np.eye(4)
    affine[:3, :3] = axes * steps
    affine[:3, 3] = move((parts - 1) / 2, fine)
    return Volume(data, affine)


def spoil(brain: Volume, mask: ndarray, rng: np.random.Generator) -> tuple[Volume, ndarray]:
    """Other contrast, bias field of up to 40 %, noise of 5 %, mask up to 2 mm off; in 3 of 10 cut low."""
    data = brain.data ** rng.uniform(0.6, 1.6)
    places = np.stack(np.meshgrid(*(np.linspace(-1, 1, n) for n in data.shape), indexing="ij"))
    slopes = rng.uniform(-1, 1, 3)
    data = data * (1 + 0.4 * np.tensordot(slopes / np.abs(slopes).sum(), places, axes=1))
    data = np.hypot(data + 0.05 * rng.standard_normal(data.shape), 0.05 * rng.standard_normal(data.shape))
    off = round(rng.uniform(-2, 2) / max(brain.spacing_mm))
    if off:
        morph = ndimage.binary_dilation if off > 0 else ndimage.binary_erosion
        mask = morph(mask, iterations=abs(off))
    if rng.random() < 0.3:
        bottom = int(np.flatnonzero(mask.any(axis=(0, 1)))[0])
        mask = mask.copy()
        mask[:, :, : bottom + round(rng.uniform(5, 25) / brain.spacing_mm[2])] = False
    return Volume(data.astype(np.float32), brain.affine), mask


def move(points: ndarray, affine: ndarray) -> ndarray:
    """Apply a map of shape (4, 4) to points, shape (n, 3)."""
    return points @ affine[:3, :3].T + affine[:3, 3]


def corner_distances_mm(one: ndarray, other: ndarray) -> ndarray:
    """How far two maps from the template put the 8 corners of the box around its brain from each other."""
    corners = load_template().corners_mm
    return np.linalg.norm(move(corners, one) - move(corners, other), axis=1)


def register_by_simpleitk(brain: Volume, mask: ndarray) -> ndarray:
    """Map from template mm to scan mm by mutual information: a similarity first, then all 12 unknowns."""
    import SimpleITK as sitk  # noqa: N813

    template = load_template()
    fixed = _itk_image(template.t1, template.affine)
    moving = _itk_image(np.where(mask, brain.data, 0).astype(np.float32), brain.affine)
    moving = sitk.BinShrink(moving, [max(1, round(2 / step)) for step in brain.spacing_mm])
    found = sitk.CenteredTransformInitializer(
        fixed, moving, sitk.Similarity3DTransform(), sitk.CenteredTransformInitializerFilter.MOMENTS
    )
    similarity = sitk.Similarity3DTransform(_run_itk(fixed, moving, found, (4, 2), (2, 1), (0.5, 0.25)))
    affine = sitk.AffineTransform(3)
    affine.SetCenter(similarity.GetCenter())
    affine.SetMatrix(similarity.GetMatrix())
    affine.SetTranslation(similarity.GetTranslation())
    affine = sitk.AffineTransform(_run_itk(fixed, moving, affine, (4, 2, 1), (2, 1, 0), (0.5, 0.25, 0.1)))
    lps = np.diag([-1.0, -1.0, 1.0])
    matrix = np.array(affine.GetMatrix()).reshape(3, 3)
    centre, shift = np.array(affine.GetCenter()), np.array(affine.GetTranslation())
    whole = np.eye(4)
    whole[:3, :3] = lps @ matrix @ lps
    whole[:3, 3] = lps @ (centre + shift - matrix @ centre)
    return whole


def _run_itk(fixed, moving, start, shrink, smooth_mm, sampled):
    import SimpleITK as sitk  # noqa: N813

    method = sitk.ImageRegistrationMethod()
    method.SetMetricAsMattesMutualInformation(32)
    method.SetMetricSamplingStrategy(method.REGULAR)
    method.SetMetricSamplingPercentagePerLevel(sampled, 1)
    method.SetShrinkFactorsPerLevel(shrink)
    method.SetSmoothingSigmasPerLevel([float(sigma) for sigma in smooth_mm])
    method.SmoothingSigmasAreSpecifiedInPhysicalUnitsOn()
    rim = ndimage.binary_dilation(load_template().mask, iterations=5).astype(np.float32)
    method.SetMetricFixedMask(sitk.Cast(_itk_image(rim, load_template().affine), sitk.sitkUInt8))
    method.SetInterpolator(sitk.sitkLinear)
    method.SetOptimizerAsRegularStepGradientDescent(2.0, 1e-2, 100, gradientMagnitudeTolerance=1e-6)
    method.SetOptimizerScalesFromPhysicalShift()
    method.SetInitialTransform(start, True)
    method.Execute(fixed, moving)
    return start


def _itk_image(data: ndarray, affine: ndarray):
    import SimpleITK as sitk  # noqa: N813

    lps = np.diag([-1.0, -1.0, 1.0])
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    image = sitk.GetImageFromArray(np.ascontiguousarray(data.T))
    image.SetSpacing(spacing.tolist())
    image.SetOrigin((lps @ affine[:3, 3]).tolist())
    image.SetDirection((lps @ affine[:3, :3] / spacing).ravel().tolist())
    return image


@cache
def _template() -> tuple[ndarray, ndarray]:
    spec = importlib.util.find_spec("nilearn")
    image = nibabel.load(Path(spec.submodule_search_locations[0], "datasets", "data", _SOURCE))
    return np.asarray(image.dataobj, dtype=np.float32) / np.float32(255), image.affine
