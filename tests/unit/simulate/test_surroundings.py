from __future__ import annotations

import numpy as np
import pytest

from brainclock.errors import InputError
from brainclock.io.volume import Volume
from brainclock.simulate.surroundings import field_of_view, put_in_head
from brainclock.simulate.template_images import template_images


def test_any_brain_lies_unchanged_in_its_head() -> None:
    template = template_images(2)
    brain = Volume(template.t1, template.affine, "template")
    head = put_in_head(brain, np.random.default_rng(1))
    again = put_in_head(brain, np.random.default_rng(1))
    assert np.array_equal(head.data, again.data)
    offset = np.linalg.inv(head.affine) @ brain.affine
    start = np.round(offset[:3, 3]).astype(int)
    assert np.allclose(offset[:3, 3], start, atol=1e-6)
    cut = tuple(slice(a, a + n) for a, n in zip(start, brain.data.shape, strict=True))
    inside = brain.data > 0.3
    assert np.allclose(head.data[cut][inside], brain.data[inside], atol=1e-4)
    assert (head.data > 0.1).sum() > 2 * inside.sum()


@pytest.mark.parametrize("fault", ["empty", "oblique"])
def test_what_is_no_upright_brain_gets_no_head(fault: str) -> None:
    template = template_images(2)
    data = np.zeros_like(template.t1) if fault == "empty" else template.t1
    affine = template.affine[[1, 0, 2, 3]] if fault == "oblique" else template.affine
    with pytest.raises(InputError, match="no brain" if fault == "empty" else "axes in other directions"):
        put_in_head(Volume(data, affine, "it"), np.random.default_rng(1))


def test_the_field_of_view_holds_the_brain_and_ends_within_the_neck() -> None:
    template = template_images(2)
    brain = Volume(template.t1, template.affine, "template")
    head = put_in_head(brain, np.random.default_rng(1))
    middle, size = field_of_view(brain)
    corners = np.array([np.zeros(3), np.array(brain.data.shape) - 1])
    ends = corners @ brain.affine[:3, :3].T + brain.affine[:3, 3]
    assert (np.abs(ends - middle) < np.array(size) / 2).all()
    bottom = head.affine[2, 3]
    assert bottom < middle[2] - size[2] / 2 - 30
