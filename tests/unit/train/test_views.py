import pickle

import numpy as np
import pytest
import torch

from brainclock.config import AugmentSettings, Grid
from brainclock.simulate.muse import class_code
from brainclock.train.views import make_views, upright
from tiny_training import cohort, settings


def test_the_first_look_is_the_scan_as_the_model_sees_it():
    from brainclock.model.channels import Channels

    people, run = cohort(3), settings()
    views = make_views(people.volumes, people.keys, run)
    assert views.images.shape[:2] == (len(people), 1 + run.augment.looks)
    seen = Channels(run.channels, run.prepare.grid.spacing_mm)(
        torch.from_numpy(people.volumes[1].astype(np.float32))[None, None]
    )
    torch.testing.assert_close(views.clean(np.array([1])), seen, atol=2e-3, rtol=1e-3)


def test_a_look_depends_on_seed_and_key_alone():
    people, run = cohort(4), settings()
    views = make_views(people.volumes, people.keys, run)
    backwards = make_views(people.volumes[::-1], people.keys[::-1], run)
    assert np.array_equal(views.images, backwards.images[::-1])
    other = make_views(people.volumes, people.keys, run.model_copy(update={"seed": 2}))
    assert np.array_equal(views.images[:, 0], other.images[:, 0])
    assert not np.array_equal(views.images[:, 1], other.images[:, 1])


def test_kept_looks_are_those_made_in_memory(tmp_path):
    people, run = cohort(4), settings()
    views = make_views(people.volumes, people.keys, run)
    for _ in range(2):
        kept = make_views(people.volumes, people.keys, run, tmp_path)
        assert np.array_equal(kept.images, views.images)
        assert kept.origin == views.origin


@pytest.mark.parametrize("change", ["source", "recipe", "channels", "augment", "seed"])
def test_looks_of_something_else_are_not_taken(tmp_path, change):
    people, run = cohort(3), settings()
    sources = list("abcd")
    kept = make_views(people.volumes, people.keys, run, tmp_path, sources)
    volumes = tuple(volume[::-1].copy() for volume in people.volumes)  # what the change would make of them
    if change == "source":
        sources[0] = "other"
    elif change == "seed":
        run = run.model_copy(update={"seed": 5})
    else:
        section = {"recipe": "prepare", "channels": "channels", "augment": "augment"}[change]
        value = {
            "recipe": {"recipe": run.prepare.recipe + 1},
            "channels": {"sigma_mm": 3.0},
            "augment": {"noise": 0.0},
        }[change]
        run = run.model_copy(update={section: getattr(run, section).model_copy(update=value)})
    anew = make_views(volumes, people.keys, run, tmp_path, sources)
    fresh = make_views(volumes, people.keys, run)
    rows = [0] if change == "source" else range(len(people))
    assert np.array_equal(anew.images[rows], fresh.images[rows])
    assert anew.origin != kept.origin


def test_views_are_drawn_once_and_made_in_parts_alike():
    people = cohort(6)
    views = make_views(people.volumes, people.keys, settings())
    drawn = views.draw(np.array([0, 3, 3, 5]), torch.Generator().manual_seed(1))
    whole = views.make(drawn)
    parts = [views.make(drawn.part(torch.tensor(which))) for which in ([2], [0, 1], [3])]
    torch.testing.assert_close(torch.cat(parts)[[1, 2, 0, 3]], whole)
    assert not torch.equal(whole[1], whole[2])


@pytest.mark.parametrize("on_disk", [True, False])
def test_views_reach_another_process_whole(tmp_path, on_disk):
    people = cohort(4)
    views = make_views(people.volumes, people.keys, settings(), tmp_path if on_disk else None)
    sent = pickle.dumps(views)
    assert (len(sent) < 4000) == on_disk  # by the name of the file
    received = pickle.loads(sent)  # noqa: S301  as spawned processes do
    assert np.array_equal(received.images, views.images)
    assert received.origin == views.origin


def turned(degrees: float) -> Grid:
    c, s = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    linear = 2.0 * np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])
    affine = np.eye(4)
    affine[:3, :3], affine[:3, 3] = linear, -linear @ [9.5, 9.5, 9.5]
    return Grid.model_validate({"shape": (20, 20, 20), "affine": affine.tolist()})


@pytest.mark.parametrize(
    ("grid", "kept"),
    [
        (Grid.box((20, 20, 20), (2.0, 2.0, 2.0), (0.0, 10.0, 5.0)), True),
        (Grid.box((20, 20, 20), (2.0, 2.0, 2.0), (0.9, 10.0, 5.0)), True),
        (Grid.box((20, 20, 20), (2.0, 2.0, 2.0), (3.0, 10.0, 5.0)), False),
        (turned(3.0), True),
        (turned(20.0), False),
        (turned(90.0), False),
    ],
)
def test_only_a_grid_about_the_midline_is_mirrored(grid, kept):
    assert upright(AugmentSettings(flip=0.5), grid).flip == (0.5 if kept else 0.0)


def painted(share: float, contrast: str = "t1w"):
    run = settings()
    augment = run.augment.model_copy(update={"synthetic": share, "synthetic_contrast": contrast})
    return run.model_copy(update={"augment": augment})


def label_maps(people):
    """White matter around a ventricle, wherever there is brain; the last has no labels."""
    maps = []
    for volume in people.volumes:
        classes = np.where(volume > 0, class_code("white"), 0).astype(np.float16)
        classes[5:7, 6:8, 5:7] = class_code("ventricle")
        maps.append(classes * (volume > 0))
    maps[-1] = np.zeros_like(maps[-1])
    return tuple(maps)


def test_the_share_of_painted_looks_is_exact_and_the_scan_stays_as_it_is():
    people = cohort(4)
    maps = label_maps(people)
    real = make_views(people.volumes, people.keys, painted(0.0), classes=maps)
    half = make_views(people.volumes, people.keys, painted(0.5), classes=maps)
    differs = [[not np.array_equal(a, b) for a, b in zip(*rows, strict=True)] for rows in _rows(real, half)]
    assert differs[:-1] == [[False, True, False]] * (len(people) - 1)
    assert differs[-1] == [False, False, False]  # without labels all looks are of the scan
    all_painted = make_views(people.volumes, people.keys, painted(1.0), classes=maps)
    assert np.array_equal(all_painted.images[:, 1], half.images[:, 1])
    other = make_views(people.volumes, people.keys, painted(1.0, "any"), classes=maps)
    assert not np.array_equal(all_painted.images[0, 1], other.images[0, 1])


def _rows(*views):
    return list(zip(*(view.images for view in views), strict=True))


def test_a_painted_look_shows_the_labels_and_nothing_of_the_scan():
    people = cohort(2)
    maps = label_maps(people)
    run = painted(1.0)
    noise = tuple(
        ((volume > 0) * np.random.default_rng(1).uniform(0.2, 1, volume.shape)).astype(np.float16)
        for volume in people.volumes
    )
    one = make_views(people.volumes, people.keys, run, classes=maps)
    other = make_views(noise, people.keys, run, classes=maps)
    assert np.array_equal(one.images[0, 1:], other.images[0, 1:])
    assert not np.array_equal(one.images[0, 0], other.images[0, 0])
