from __future__ import annotations

import base64
import io
import re

import numpy as np
import pytest
from PIL import Image

from brainclock.config import WHOLE_BRAIN, Grid
from brainclock.io.volume import Volume
from brainclock.prepare.template import load_template
from brainclock.report.slices import (
    COLUMNS,
    PLANES,
    SLICES,
    Box,
    cut,
    grey_jpeg,
    head_box,
    on_sheet,
    outline,
    palette_png,
    template_box,
)


def opened(encoded: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(encoded)))


def test_slices_lie_within_what_the_model_sees_of_the_template() -> None:
    slab = Grid.box((80, 10, 80), (2.0, 2.0, 2.0), (0.0, -20.0, 5.0))
    for grid in (WHOLE_BRAIN, slab):
        box = template_box(grid)
        brain = load_template().corners_mm
        for axis, places in enumerate(box.places_mm):
            assert len(places) == SLICES
            assert brain[:, axis].min() < places[0] < places[-1] < brain[:, axis].max()
    assert -30 < template_box(slab).places_mm[1][0] < template_box(slab).places_mm[1][-1] < -10
    assert Box.from_dict(template_box(slab).as_dict()) == template_box(slab)


@pytest.mark.parametrize("plane", PLANES)
def test_a_point_is_where_a_reader_looks_for_it(plane: str) -> None:
    """Right of the middle, in front of it and above it: right and up in each picture."""
    data = np.zeros((60, 60, 60), dtype=np.float32)
    to_voxel = np.diag([0.25, 0.25, 0.25, 1.0])
    to_voxel[:3, 3] = 30
    box = template_box(WHOLE_BRAIN)
    axis, across, up = PLANES[plane]
    number = 7
    point = np.array([40.0, 30.0, 50.0])
    point[axis] = box.places_mm[axis][number]
    low = np.round(to_voxel[:3, :3] @ point + to_voxel[:3, 3]).astype(int)
    data[tuple(low)] = 1
    point = (low - 30) * 4.0
    slices = cut(data, to_voxel, box, plane)
    found, row, column = np.unravel_index(slices.argmax(), slices.shape)
    assert abs(box.places_mm[axis][found] - point[axis]) <= 6
    assert column + 0.5 + box.extent_mm[across][0] == pytest.approx(point[across], abs=1)
    assert box.extent_mm[up][1] - row - 0.5 == pytest.approx(point[up], abs=1)


def test_a_head_that_is_not_registered_is_cut_through_its_brain() -> None:
    head = Volume(np.ones((40, 50, 200), dtype=np.float32), np.diag([2.0, 2.0, 2.0, 1.0]))
    brain = np.zeros(head.data.shape, dtype=bool)
    brain[10:30, 10:40, 150:190] = True
    box, to_voxel = head_box(head, brain)
    assert [high - low for low, high in box.extent_mm] == [80, 100, 260]
    slices = cut(brain, to_voxel, box, "axial")
    assert slices.shape == (SLICES, 100, 80)
    # pixels of 1 mm, voxels of 2 mm
    assert slices.sum(axis=(1, 2)) == pytest.approx([20 * 30 * 4] * SLICES, rel=0.1)
    box, _ = head_box(Volume(np.zeros((40, 40, 40), dtype=np.float32), np.eye(4)), None)
    assert box.places_mm[0][0] < 0 < box.places_mm[0][-1]


def test_sheets_hold_the_slices_in_their_order() -> None:
    slices = np.arange(SLICES, dtype=np.float64)[:, None, None] * np.ones((1, 16, 24))
    sheet = on_sheet(slices)
    assert sheet.shape == (16 * SLICES // COLUMNS, 24 * COLUMNS)
    assert [sheet[16 * (n // COLUMNS), 24 * (n % COLUMNS)] for n in range(SLICES)] == list(range(SLICES))
    grey = np.asarray(opened(grey_jpeg(slices, SLICES - 1.0)), dtype=float)
    assert grey.shape == sheet.shape
    assert np.abs(grey - sheet / (SLICES - 1) * 255).max() < 6
    palette = np.array([[0, 0, 0, 0], *([[n, 2 * n, 0, 150] for n in range(1, SLICES)])], dtype=np.uint8)
    colours = np.asarray(opened(palette_png(slices.astype(np.uint8), palette)).convert("RGBA"))
    np.testing.assert_array_equal(colours, palette[sheet.astype(int)])


def test_an_outline_runs_along_the_border_of_a_mask() -> None:
    slices = np.zeros((SLICES, 40, 50))
    slices[5, 10:30, 15:45] = 1
    points = np.array([[float(x), float(y)] for x, y in re.findall(r"([\d.]+) ([\d.]+)", outline(slices))])
    points -= np.array([50 * (5 % COLUMNS), 40 * (5 // COLUMNS)])
    assert points.min(axis=0) == pytest.approx([15, 10], abs=0.6)
    assert points.max(axis=0) == pytest.approx([45, 30], abs=0.6)
    assert outline(np.zeros((SLICES, 40, 50))) == ""
