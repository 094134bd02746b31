"""The shipped template is what nilearn's images make, and what registration counts on holds."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from brainclock.errors import InputError
from brainclock.prepare.template import SHIPPED, build_template, load_template, write_template


def test_the_shipped_file_is_what_is_built():
    with np.load(SHIPPED, allow_pickle=False) as shipped:
        built = build_template()
        assert sorted(shipped.files) == sorted(built)
        for name, array in built.items():
            assert shipped[name].dtype == array.dtype, name
            np.testing.assert_array_equal(shipped[name], array, err_msg=name)


def test_writing_it_gives_the_hash_that_is_loaded(tmp_path: Path):
    assert write_template(tmp_path / "template.npz") == load_template().hash
    assert SHIPPED.stat().st_size < 1_500_000


def test_left_and_right_are_alike_to_the_last_bit():
    template = load_template()
    for name in ("t1", "grey", "white", "mask"):
        array = getattr(template, name)
        np.testing.assert_array_equal(array, array[::-1], err_msg=name)
    middle = (template.mask.shape[0] - 1) / 2
    assert template.affine[0, :3] @ [middle, 0, 0] + template.affine[0, 3] == 0
    assert abs(template.centroid_mm[0]) < 1e-9


def test_voxels_lie_where_nilearn_puts_them():
    """At every second voxel the 2 mm image is the 1 mm image, but for the smoothing 1-2-1."""
    import nibabel

    template = load_template()
    place = importlib.util.find_spec("nilearn").submodule_search_locations[0]
    source = nibabel.load(Path(place, "datasets", "data", "mni_icbm152_t1_tal_nlin_sym_09a_converted.nii.gz"))
    full = np.asarray(source.dataobj) / 255
    rng = np.random.default_rng(0)
    for voxel in rng.permutation(np.argwhere(template.mask))[:50]:
        mm = template.affine @ [*voxel, 1]
        at = np.rint(np.linalg.inv(source.affine) @ mm)[:3].astype(int)
        near = full[tuple(slice(i - 1, i + 2) for i in at)]
        weights = np.einsum("i,j,k->ijk", *[[0.25, 0.5, 0.25]] * 3)
        assert template.t1[tuple(voxel)] == pytest.approx((near * weights).sum(), abs=0.6 / 255)


def test_it_is_a_brain_of_the_size_of_icbm152():
    template = load_template()
    millilitres = template.mask.sum() * 8 / 1000
    assert millilitres == pytest.approx(1883, rel=0.01)
    grey, white = (np.median(template.t1[getattr(template, tissue) > 0.9]) for tissue in ("grey", "white"))
    assert white > grey + 0.1
    outside = ~template.mask
    assert template.t1[outside].mean() < 0.01


def test_the_corners_enclose_the_brain_and_the_centre_lies_between():
    template = load_template()
    points = np.argwhere(template.mask) @ template.affine[:3, :3].T + template.affine[:3, 3]
    np.testing.assert_allclose(template.corners_mm.min(axis=0), points.min(axis=0))
    np.testing.assert_allclose(template.corners_mm.max(axis=0), points.max(axis=0))
    assert len(np.unique(template.corners_mm, axis=0)) == 8
    np.testing.assert_allclose(template.centroid_mm, points.mean(axis=0), atol=1e-9)


def test_nobody_can_change_it_for_others():
    template = load_template()
    assert template is load_template()
    with pytest.raises(ValueError, match="read-only"):
        template.t1[0, 0, 0] = 1


def test_building_without_nilearn_says_what_to_do(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(InputError, match=r"no nilearn.*Install nilearn"):
        build_template()
