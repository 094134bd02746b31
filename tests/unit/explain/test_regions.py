from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from brainclock.config import WHOLE_BRAIN
from brainclock.errors import InputError
from brainclock.explain.regions import default_regions, read_regions, share_by_region, template_brain
from brainclock.io.nifti import write_volume
from brainclock.prepare.prepared import PreparedScan
from tiny_model import GRID


def test_the_own_regions_have_the_volumes_of_the_template_and_are_symmetric() -> None:
    regions = default_regions(WHOLE_BRAIN)
    ml = np.bincount(regions.labels.ravel(), minlength=len(regions.names) + 1)[1:] * 0.008
    volumes = dict(zip(regions.names, ml, strict=True))
    for name, expected in (("lateral_ventricle", 15.9), ("hippocampus", 9.9), ("thalamus", 10.2)):
        assert volumes[name] == pytest.approx(expected, rel=0.1)
    assert volumes["cortex_frontal"] == pytest.approx(311, rel=0.1)
    assert np.array_equal(regions.labels, regions.labels[::-1])


def test_regions_take_up_the_whole_map(prepared: PreparedScan) -> None:
    values = np.random.default_rng(0).normal(size=GRID.shape)
    regions = default_regions(GRID)
    rows = share_by_region(values, regions, prepared)
    assert sum(row.share for row in rows) == pytest.approx(values.sum(), abs=1e-9)
    assert sum(row.absolute_share for row in rows) == pytest.approx(1)
    assert sum(row.volume_ml for row in rows) == pytest.approx(values.size * 0.512)
    assert [row.region for row in rows[-2:]] == ["elsewhere_in_the_brain", "outside_the_brain"]
    assert rows[-1].share == pytest.approx(values[~prepared.mask].sum())
    place = regions.names.index("cerebellum")
    inside = (regions.labels == place + 1) & prepared.mask
    assert rows[place].share == pytest.approx(values[inside].sum())


@pytest.fixture
def atlas(tmp_path: Path) -> tuple[Path, Path, np.ndarray, np.ndarray]:
    """Left and right half of the template brain, codes 20 and 4, on a grid of 4 mm that is flipped."""
    affine = np.diag([-4.0, 4.0, 4.0, 1.0])
    affine[:3, 3] = (96, -130, -72)
    shape = (49, 58, 47)
    x = 96 - 4 * np.arange(49)
    codes = np.where(x < 0, 20, 4).astype(np.int16)[:, None, None] * np.ones(shape, np.int16)
    labels, names = tmp_path / "atlas_dseg.nii.gz", tmp_path / "atlas_dseg.tsv"
    write_volume(labels, codes, affine, dtype=np.int16)
    names.write_text("index\tname\n20\tleft\n4\tright\n9\tnot there\n")
    return labels, names, codes, affine


def test_labels_on_any_grid_in_template_space(atlas: tuple[Path, Path, np.ndarray, np.ndarray]) -> None:
    labels, names, _, _ = atlas
    regions = read_regions(labels, names, GRID)
    assert regions.names == ("right", "left")
    x = GRID.matrix[0, 3] + GRID.matrix[0, 0] * np.arange(GRID.shape[0])
    brain = template_brain(GRID)
    side = np.broadcast_to(x[:, None, None], GRID.shape)
    assert (regions.labels[brain & (side < -4)] == 2).all()
    assert (regions.labels[brain & (side > 4)] == 1).all()


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ("index\tname\n20\tleft\n", "no name for label 4"),
        ("number\tname\n20\tleft\n", "columns index and name"),
        ("index\tname\n20\tleft\n4\tleft\n", "of which one is taken"),
        ("index\tname\n20\tleft\n4.5\tright\n", "a whole number"),
        ("index\tname\n20\tleft\n4\toutside_the_brain\n", "of which one is taken"),
        ("index\tname\n", "columns index and name"),
    ],
)
def test_names_that_do_not_fit_are_named(
    table: str, said: str, atlas: tuple[Path, Path, np.ndarray, np.ndarray]
) -> None:
    labels, names, _, _ = atlas
    names.write_text(table)
    with pytest.raises(InputError, match=said):
        read_regions(labels, names, GRID)


def test_labels_that_are_none_or_elsewhere(atlas: tuple[Path, Path, np.ndarray, np.ndarray]) -> None:
    labels, names, codes, affine = atlas
    write_volume(labels, codes + 0.5, affine)
    with pytest.raises(InputError, match="values that are no labels"):
        read_regions(labels, names, GRID)
    away = affine.copy()
    away[:3, 3] += 250
    write_volume(labels, codes, away, dtype=np.int16)
    with pytest.raises(InputError, match="labels in template space"):
        read_regions(labels, names, GRID)
