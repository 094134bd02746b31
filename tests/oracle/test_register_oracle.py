"""Against SimpleITK (mutual information, similarity then affine), and both against the truth."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from brainclock.io.nifti import read_volume
from brainclock.prepare.register import register
from posed_brain import corner_distances_mm, draw_pose, pose_brain, register_by_simpleitk, spoil


def test_both_find_the_known_map_of_a_simulated_brain():
    pose = draw_pose(np.random.default_rng(12), 20.0)
    brain, mask = pose_brain(pose)
    ours, theirs = register(brain, mask).template_to_scan, register_by_simpleitk(brain, mask)
    assert corner_distances_mm(theirs, pose).max() < 2
    assert corner_distances_mm(ours, pose).max() < 0.6
    assert corner_distances_mm(ours, theirs).max() < 2


def test_a_spoilt_brain_is_found_as_well_as_by_simpleitk():
    rng = np.random.default_rng(13)
    pose = draw_pose(rng, 15.0)
    brain, mask = spoil(*pose_brain(pose), rng)
    ours, theirs = register(brain, mask).template_to_scan, register_by_simpleitk(brain, mask)
    assert corner_distances_mm(ours, pose).mean() < corner_distances_mm(theirs, pose).mean() + 1
    assert corner_distances_mm(ours, theirs).max() < 4


@pytest.mark.data
def test_a_real_brain_lies_where_simpleitk_puts_it(shared_data: Path):
    """Neither is the truth here, and they weigh the border of the brain differently."""
    scan = read_volume(shared_data / "ixi" / "sub-IXI012" / "anat" / "sub-IXI012_T1w.nii.gz")
    name = Path("sub-IXI012", "anat", "sub-IXI012_desc-dlmuse_dseg.nii.gz")
    mask = read_volume(shared_data / "ixi" / "derivatives" / "dlmuse" / name).data > 0
    apart = corner_distances_mm(register(scan, mask).template_to_scan, register_by_simpleitk(scan, mask))
    assert apart.mean() < 2.5
    assert apart.max() < 3.5
