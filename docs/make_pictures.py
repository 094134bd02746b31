"""Write docs/pictures: the way of a simulated head through the code, and a panel of simulated heads.

Run ``python docs/make_pictures.py``; no real person is in any of them.
"""

from __future__ import annotations

import base64
import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure
from matplotlib.image import imsave
from numpy import ndarray

from brainclock.config import ChannelSettings, PrepareSettings
from brainclock.model.channels import Channels
from brainclock.prepare.chain import prepare_volume
from brainclock.simulate.acquisition import Site
from brainclock.simulate.anatomy import template_anatomy
from brainclock.simulate.brain import make_brain
from brainclock.simulate.head import scan_head, simulate_head, strip
from brainclock.simulate.people import Person, draw_person, visit
from brainclock.simulate.settings import CohortSettings
from brainclock.simulate.synthesis import render

PICTURE = Path(__file__).parent / "pictures" / "chain.svg"
PANEL = Path(__file__).parent / "pictures" / "simulated.png"
_SIDE, _GAP, _TOP, _LAST = 150, 56, 10, 196
_WIDTH, _HEIGHT = 3 * (_SIDE + _GAP) + _LAST + 20, _SIDE + 60


def chain_svg() -> str:
    """Return the picture: a raw head, the prepared brain, what the network sees, and the answer."""
    head = simulate_head(1, spacing_mm=1.5)
    prepared = prepare_volume(head, PrepareSettings())
    channels = Channels(ChannelSettings(pool=(1, 1, 1)), prepared.grid.spacing_mm)
    with torch.no_grad():
        seen = channels(torch.from_numpy(prepared.data)[None, None])[0, 0].numpy()
    steps = [
        (_middle(head.data), "a raw head", "(simulated)"),
        (_middle(prepared.data), "prepared", "brain, bias, template, gates"),
        (_middle(seen), "what the network sees", "gradients (and intensity)"),
    ]
    parts = [_panel(i, image, *words) for i, (image, *words) in enumerate(steps)]
    parts += [_arrow(i) for i in range(3)]
    return "\n".join([_HEAD, *parts, _answer(), "</svg>\n"])


_HEAD = f"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" width="{_WIDTH}" \
height="{_HEIGHT}" font-family="sans-serif" font-size="13" text-anchor="middle" role="img">
<title>From a raw head to an age or a reason</title>
<rect width="100%" height="100%" fill="#ffffff"/>"""


def _middle(data: ndarray) -> ndarray:
    """Return the sagittal slice a little beside the middle, front to the left, top up, in a square."""
    plane = data[int(data.shape[0] * 0.46)].T[::-1, ::-1]
    side = max(plane.shape)
    square = np.zeros((side, side), dtype=np.float32)
    first, second = ((side - n) // 2 for n in plane.shape)
    square[first : first + plane.shape[0], second : second + plane.shape[1]] = plane
    return square


def _panel(place: int, image: ndarray, name: str, about: str) -> str:
    png = io.BytesIO()
    top = float(np.percentile(image[image > 0], 99.5))
    imsave(
        png,
        np.clip(image / top, 0, 1),
        cmap="gray",
        vmin=0,
        vmax=1,
        format="png",
        metadata={"Software": None},
    )
    data = base64.b64encode(png.getvalue()).decode()
    left = 10 + place * (_SIDE + _GAP)
    place_and_size = f'x="{left}" y="{_TOP}" width="{_SIDE}" height="{_SIDE}"'
    return (
        f"<rect {place_and_size}/>\n"
        f'<image {place_and_size} href="data:image/png;base64,{data}"/>\n'
        + _words(left + _SIDE / 2, name, about)
    )


def _words(middle: float, name: str, about: str) -> str:
    below = _TOP + _SIDE + 20
    return (
        f'<text x="{middle}" y="{below}" font-weight="bold">{name}</text>\n'
        f'<text x="{middle}" y="{below + 18}" fill="#555555" font-size="11">{about}</text>'
    )


def _arrow(place: int) -> str:
    start, y = 10 + place * (_SIDE + _GAP) + _SIDE + 8, _TOP + _SIDE / 2
    stop = start + _GAP - 16
    return (
        f'<path d="M{start} {y} H{stop - 6}" stroke="#222222" stroke-width="2"/>'
        f'<path d="M{stop} {y} l-9 -5 v10 z" fill="#222222"/>'
    )


def _answer() -> str:
    """Draw the encoder, the embedding and its two ends."""
    left = 10 + 3 * (_SIDE + _GAP)
    middle = left + _LAST / 2
    boxes = [
        (0, "3D ResNet", "#e8eef7"),
        (40, "embedding, ordered by age", "#e8eef7"),
        (80, "linear regressor", "#e8eef7"),
        (122, "an age, or a reason", "#dff0df"),
    ]
    drawn = [
        f'<rect x="{left}" y="{_TOP + y}" width="{_LAST}" height="28" rx="4" fill="{fill}"/>'
        f'<text x="{middle}" y="{_TOP + y + 19}">{words}</text>'
        for y, words, fill in boxes
    ]
    return "\n".join([*drawn, _words(middle, "predicted age", "with flags and quality")])


def simulated_panel() -> Figure:
    """Return one simulated person at three ages, with Alzheimer's disease, and on two scanners."""
    settings = CohortSettings(ages=(20, 20), gap_sd=0, anatomy_mm=1)
    healthy = draw_person(4, settings, 1)
    patient = replace(healthy, group="AD", severity=0.9)
    here = Site(noise=0.015)
    there = Site(noise=0.035, bias=0.15, gamma=0.9, contrast=1.25)
    columns: list[tuple[str, Person, float, Site]] = [
        ("healthy, 20 years", healthy, 20, here),
        ("healthy, 50 years", healthy, 50, here),
        ("healthy, 85 years", healthy, 85, here),
        ("AD, 75 years", patient, 75, here),
        ("healthy, 50, other scanner", healthy, 50, there),
    ]
    figure = Figure(figsize=(11, 6.4), facecolor="black")
    axes = figure.subplots(3, len(columns), gridspec_kw={"wspace": 0.02, "hspace": 0.02})
    for place, (name, person, age, site) in enumerate(columns):
        axes[0, place].set_title(name, color="white", fontsize=10)
        for axis, plane in zip(axes[:, place], _planes(person, age, site, settings), strict=True):
            axis.imshow(plane, cmap="gray", vmin=0, vmax=1, interpolation="lanczos")
            axis.set_axis_off()
            axis.text(
                0.03, 0.03, "simulated", color="#ffd27f", fontsize=9, transform=axis.transAxes, va="bottom"
            )
    figure.subplots_adjust(left=0.005, right=0.995, top=0.95, bottom=0.005)
    return figure


def _planes(person: Person, age: float, site: Site, settings: CohortSettings) -> list[ndarray]:
    """Return a sagittal slice of the raw head, and a coronal and an axial one of the brain alone."""
    brain = make_brain(
        template_anatomy(1), person, visit(person, age - person.age, settings), shape_mm=settings.shape_mm
    )
    own, rng = np.random.default_rng(1), np.random.default_rng(2)
    volume = render(brain.tissue, own, contrast=site.contrast)
    pose = np.eye(4)
    head = scan_head(volume, site, own, rng, pose=pose, moved=False)
    alone = strip(head, brain.tissue, pose)
    top = float(np.percentile(alone.data[alone.data > 0], 99))
    x, y, z = (int(n) for n in np.linalg.inv(head.affine)[:3] @ np.array([4.0, -22.0, 10.0, 1.0]))
    planes = [head.data[x], alone.data[:, y], alone.data[:, :, z]]
    return [_square(np.clip(plane.T[::-1] / top, 0, 1), 236) for plane in planes]


def _square(plane: ndarray, side: int) -> ndarray:
    """Return the middle of an image on a black square."""
    padded = np.pad(plane, [(max(0, side - n + 1) // 2,) * 2 for n in plane.shape])
    rows, columns = ((n - side) // 2 for n in padded.shape)
    return padded[rows : rows + side, columns : columns + side]


if __name__ == "__main__":
    PICTURE.write_text(chain_svg(), encoding="utf-8")
    simulated_panel().savefig(PANEL, dpi=100, metadata={"Software": None})
