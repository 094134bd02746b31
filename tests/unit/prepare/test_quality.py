from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from brainclock.config import GateSettings
from brainclock.errors import ScanRefused
from brainclock.io.volume import Volume
from brainclock.prepare import quality
from brainclock.prepare.register import Registration

LIMITS = GateSettings()
GOOD = Registration(np.eye(4), 0.7, (1.05, 1.0, 0.95), 0.02, 8.0, 0.12, 19)


def test_a_figure_on_the_limit_passes_and_nan_never_does() -> None:
    quality.gate("shear", 0.25, 0.0, 0.25, "", "advice", {})
    for value in (0.2500001, -1e-9, float("nan"), float("inf")):
        with pytest.raises(ScanRefused, match=r"shear: .* allowed 0 to 0.25: advice\."):
            quality.gate("shear", value, 0.0, 0.25, "", "advice", {})


def test_limits_on_one_side_read_well() -> None:
    with pytest.raises(ScanRefused, match="9 mm, allowed at most 6 mm"):
        quality.gate("voxel_size", 9.0, -np.inf, 6.0, " mm", "x", {})
    with pytest.raises(ScanRefused, match=r"0\.1 mm, allowed at least 0\.2 mm"):
        quality.gate("voxel_size", 0.1, 0.2, np.inf, " mm", "x", {})


def test_a_refusal_carries_the_figures_so_far() -> None:
    figures = {"voxel_mm_min": 1.0}
    volume = Volume(np.zeros((10, 10, 10), dtype=np.float32), np.eye(4))
    with pytest.raises(ScanRefused) as refusal:
        quality.check_volume(np.ones((10, 10, 10), dtype=bool), volume, LIMITS, figures)
    assert refusal.value.gate == "brain_volume"
    assert refusal.value.figures == {"voxel_mm_min": 1.0, "brain_volume_ml": 1.0}


@pytest.mark.parametrize(("spacing", "passes"), [(0.15, False), (0.2, True), (6.0, True), (6.5, False)])
def test_voxel_size(spacing: float, passes: bool) -> None:
    volume = Volume(np.zeros((2, 2, 2), dtype=np.float32), np.diag([1.0, 1.0, spacing, 1.0]))
    if passes:
        quality.check_voxels(volume, LIMITS, {})
    else:
        with pytest.raises(ScanRefused, match="voxel_size"):
            quality.check_voxels(volume, LIMITS, {})


@pytest.mark.parametrize(
    ("change", "gate"),
    [
        ({"r2": 0.39}, "template_r2"),
        ({"r2": float("nan")}, "template_r2"),
        ({"axis_scales": (1.51, 1.2, 1.1)}, "axis_scale"),
        ({"axis_scales": (0.8, 0.7, 0.64)}, "axis_scale"),
        ({"axis_scales": (1.45, 1.1, 0.99)}, "scale_ratio"),
        ({"shear": 0.26}, "shear"),
        ({"mirror_margin": -0.01}, "mirror_margin"),
        ({"mirror_margin": float("nan")}, "mirror_margin"),
    ],
)
def test_each_figure_of_the_registration_has_its_gate(change: dict[str, object], gate: str) -> None:
    figures: dict[str, float] = {}
    quality.check_registration(GOOD, LIMITS, figures)
    assert figures["mirror_margin"] == 0.12
    with pytest.raises(ScanRefused) as refusal:
        quality.check_registration(replace(GOOD, **change), LIMITS, {})
    assert refusal.value.gate == gate


def test_coverage_counts_the_brain_on_the_grid() -> None:
    seen = np.ones((10, 10, 10), dtype=bool)
    seen[0] = False
    brain = np.zeros_like(seen)
    brain[1:9] = True
    figures: dict[str, float] = {}
    quality.check_view(seen, brain, LIMITS, figures)
    assert figures["coverage"] == 1
    with pytest.raises(ScanRefused, match="coverage: 0\\.9, allowed at least 0\\.985"):
        quality.check_view(seen, np.ones_like(seen), LIMITS, {})
    with pytest.raises(ScanRefused, match="coverage: 0\\.9"):  # a grid without brain must be seen as a whole
        quality.check_view(seen, np.zeros_like(seen), LIMITS, {})


def test_overlap_is_dice() -> None:
    brain = np.zeros((10, 10, 10), dtype=bool)
    brain[:5] = True
    mask = np.roll(brain, 1, axis=0)
    figures: dict[str, float] = {}
    with pytest.raises(ScanRefused, match=r"template_overlap: 0\.8, allowed 0\.85"):
        quality.check_overlap(mask, brain, LIMITS, figures)
    assert figures["template_overlap"] == pytest.approx(0.8)
    with pytest.raises(ScanRefused, match="template_overlap"):
        quality.check_overlap(np.zeros_like(mask), brain, LIMITS, {})


def test_white_matter_must_be_brighter_than_grey() -> None:
    white = np.zeros((10, 10, 10), dtype=bool)
    white[:5] = True
    data = np.where(white, 1.0, 0.7).astype(np.float32)
    figures: dict[str, float] = {}
    quality.check_contrast(data, ~white, white, LIMITS, figures)
    assert figures["contrast"] == pytest.approx(0.3)
    with pytest.raises(ScanRefused, match=r"contrast: -0\.3"):
        quality.check_contrast(data, white, ~white, LIMITS, {})


def test_too_little_tissue_on_the_grid_says_nothing_of_the_contrast() -> None:
    figures: dict[str, float] = {}
    some = np.zeros((10, 10, 10), dtype=bool)
    quality.check_contrast(np.ones((10, 10, 10), dtype=np.float32), some, ~some, LIMITS, figures)
    assert figures == {}


def test_measures_are_written_with_six_digits_and_described() -> None:
    assert quality.written(1234.56789) == "1234.57"
    assert quality.written(float("nan")) is None
    for name in quality.MEASURES:
        assert quality.describe_measure(name)["Description"]
    assert quality.describe_measure("brain_volume_ml")["Units"] == "ml"
