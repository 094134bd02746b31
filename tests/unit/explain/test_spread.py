from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brainclock.explain.age_map import AgeMap, Lattice
from brainclock.explain.spread import on_lattice, on_model_grid, on_scan, shares_by_label
from brainclock.prepare.prepared import OwnSpace, PreparedScan
from tiny_model import GRID


def in_scan(shape: tuple[int, int, int], affine: np.ndarray) -> OwnSpace:
    return OwnSpace(shape, affine, np.zeros(shape, bool), affine)


def make_map(shape: tuple[int, int, int], lattice: Lattice, seed: int = 0) -> AgeMap:
    values = np.random.default_rng(seed).normal(0, 10, shape)
    return AgeMap(values, lattice, values.sum() + 45.0, 45.0, "grad-ram")


@settings(max_examples=20, deadline=None)
@given(
    shape=st.tuples(*[st.integers(1, 4)] * 3),
    start=st.floats(0, 5),
    step=st.floats(1.5, 9),
    seed=st.integers(0, 9),
)
def test_no_year_is_lost_on_the_model_grid(
    shape: tuple[int, int, int], start: float, step: float, seed: int
) -> None:
    prepared = PreparedScan(np.zeros(GRID.shape, np.float32), np.zeros(GRID.shape, bool), GRID, np.eye(4))
    found = make_map(shape, Lattice((start,) * 3, (step,) * 3), seed)
    spread = on_model_grid(found, prepared)
    assert spread.shape == GRID.shape
    assert spread.sum() == pytest.approx(found.total, abs=1e-9)


def test_an_even_map_stays_even_and_a_share_stays_in_its_place(prepared: PreparedScan) -> None:
    lattice = Lattice((3.5, 3.5, 3.5), (8.0, 8.0, 8.0))  # 3 × 3.5 × 3 blocks of 8
    one = np.zeros((3, 4, 3))
    one[1, 2, 0] = 5.0
    spread = on_model_grid(AgeMap(one, lattice, 50.0, 45.0, "grad-ram"), prepared)
    assert spread.min() >= 0
    places = np.stack(np.meshgrid(*(np.arange(n) for n in spread.shape), indexing="ij"))
    centre = (places * spread).reshape(3, -1).sum(axis=1) / spread.sum()
    assert centre[0] == pytest.approx(11.5)
    assert abs(centre[1] - 19.5) < 1  # a neighbour's hat is cut by the border of the grid
    assert spread[12:, :, 16:].sum() == 0


def test_shares_go_into_the_brain_unless_they_hardly_reach_it() -> None:
    rng = np.random.default_rng(4)
    coarse, grid = Lattice((1.5,) * 3, (4.0,) * 3), (16, 16, 16)
    values = rng.normal(0, 2, (4, 4, 4))
    brain = np.zeros(grid)
    brain[:5] = 1.0
    brain[5] = 0.5
    found = on_lattice(values, coarse, grid, Lattice(), grid, brain)
    free = on_lattice(values, coarse, grid, Lattice(), grid)
    assert found.sum() == pytest.approx(values.sum(), abs=1e-9)
    far = on_lattice(np.where(np.arange(4)[:, None, None] >= 2, values, 0), coarse, grid, Lattice(), grid)
    assert np.allclose(found[9:], far[9:]), "planes 2 and 3 reach no brain and stay"
    assert found[:6].sum() == pytest.approx(values[:2].sum() + far[:6].sum(), abs=1e-9)
    assert np.allclose(on_lattice(values, coarse, grid, Lattice(), grid, np.ones(grid)), free)


def test_a_map_on_the_grid_is_taken_as_it_is(prepared: PreparedScan) -> None:
    found = make_map(GRID.shape, Lattice())
    assert on_model_grid(found, prepared) is found.values


@pytest.mark.parametrize("spacing_mm", [1.7, 4.0, 11.0])
@pytest.mark.parametrize("lattice", [Lattice(), Lattice((3.5,) * 3, (8.0,) * 3)])
def test_no_year_is_lost_in_the_scan(spacing_mm: float, lattice: Lattice, prepared: PreparedScan) -> None:
    turned = np.linalg.qr(np.eye(3) + 0.1 * np.random.default_rng(1).normal(size=(3, 3)))[0]
    affine = np.eye(4)
    affine[:3, :3] = -turned * spacing_mm
    shape = tuple(int(260 / spacing_mm) for _ in range(3))
    affine[:3, 3] = -affine[:3, :3] @ ((np.array(shape) - 1) / 2)
    there = replace(prepared, own=in_scan(shape, affine))
    found = make_map(GRID.shape if lattice == Lattice() else (3, 4, 3), lattice)
    spread = on_scan(found, there)
    assert spread is not None
    assert spread.shape == shape
    assert spread.sum() == pytest.approx(found.total, abs=1e-8)


def test_a_share_lands_at_its_place_in_the_scan(prepared: PreparedScan) -> None:
    affine = np.diag([-3.0, 3.0, 3.0, 1.0])
    affine[:3, 3] = (110, -130, -100)
    template_to_scan = np.eye(4)
    template_to_scan[:3, 3] = (4, -6, 2)
    there = replace(
        prepared,
        own=in_scan((74, 80, 72), affine),
        template_to_scan=template_to_scan,
    )
    one = np.zeros(GRID.shape)
    one[10, 12, 14] = 2.0
    spread = on_scan(AgeMap(one, Lattice(), 47.0, 45.0, "occlusion"), there)
    assert spread is not None
    voxels = np.argwhere(spread > 0)
    middle = (voxels * spread[spread > 0][:, None]).sum(axis=0) / spread.sum()
    place = affine[:3, :3] @ middle + affine[:3, 3]
    assert np.allclose(place, GRID.matrix[:3, :3] @ (10, 12, 14) + GRID.matrix[:3, 3] + (4, -6, 2), atol=0.5)


def test_a_narrow_field_of_view_loses_nothing(prepared: PreparedScan) -> None:
    affine = np.diag([4.0, 4.0, 4.0, 1.0])
    there = replace(prepared, own=in_scan((6, 6, 6), affine))
    found = make_map((3, 4, 3), Lattice((3.5,) * 3, (8.0,) * 3))
    spread = on_scan(found, there)
    assert spread is not None
    assert spread.sum() == pytest.approx(found.total, abs=1e-9)


def test_without_its_voxels_there_is_no_map_in_the_scan(prepared: PreparedScan) -> None:
    assert on_scan(make_map((3, 4, 3), Lattice()), prepared) is None


def test_shares_by_label_are_those_of_the_map_spread_out(prepared: PreparedScan) -> None:
    lattice = Lattice((3.5,) * 3, (8.0,) * 3)
    found = make_map((3, 4, 3), lattice)
    labels = np.random.default_rng(0).integers(0, 5, GRID.shape).astype(np.int16)
    matrix = shares_by_label(labels, 5, (3, 4, 3), lattice)
    assert np.allclose(matrix.sum(axis=0), 1)
    spread = on_model_grid(found, prepared)
    naive = [spread[labels == label].sum() for label in range(5)]
    assert np.allclose(matrix @ found.values.ravel(), naive, atol=1e-9)
