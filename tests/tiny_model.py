"""A tiny untrained model and brains that are prepared in milliseconds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from brainclock.config import (
    ChannelSettings,
    EncoderSettings,
    GateSettings,
    Grid,
    PrepareSettings,
    RunSettings,
)
from brainclock.io.nifti import write_volume
from brainclock.model.brain_age_model import BrainAgeModel
from brainclock.model.card import Cohort, ModelCard
from brainclock.model.ensemble import Ensemble
from brainclock.model.familiarity import Familiarities, fit_familiarity
from brainclock.model.folder import save_model
from brainclock.prepare.template import load_template

GRID = Grid.box((24, 28, 24), (8.0, 8.0, 8.0), (0.0, -17.0, 5.0))


def build_model_folder(
    folder: Path,
    seed: int = 1,
    intercept: float = 45.0,
    grid: Grid = GRID,
    members: int = 1,
    name: str = "tiny",
) -> Path:
    """Save a model of random weights that trained, it says, on people of 20 to 80 years."""
    settings = RunSettings(
        seed=seed,
        prepare=PrepareSettings(grid=grid, bias="none", gates=GateSettings(min_contrast=-1.0)),
        channels=ChannelSettings(channels=("intensity",), pool=(1, 1, 1)),
        encoder=EncoderSettings(depth=10, width=4, cells=(1, 1, 1)),
    )
    seeds = [settings.model_copy(update={"seed": seed + number}) for number in range(members)]
    model = Ensemble(settings, [BrainAgeModel.build(own) for own in seeds])
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for member in model.members:
            member.regressor.weight.copy_(torch.randn(member.regressor.weight.shape, generator=generator))
            member.regressor.bias.fill_(intercept)
    cohort = Cohort(
        name="random",
        scans=40,
        participants=40,
        age_range=(20.0, 80.0),
        sex={"F": 20, "M": 20},
        ages_by_decade={"20": 10, "30": 10, "40": 10, "50": 6, "60": 3, "70": 1},
    )
    rng, names = np.random.default_rng(seed), [f"sub-{i}" for i in range(40)]
    familiarity = Familiarities(
        tuple(fit_familiarity(rng.normal(0, 100, (40, m.embedding_size)), names) for m in model.members)
    )
    save_model(model, ModelCard(name=name, settings=settings, cohorts=(cohort,)), familiarity, folder)
    return folder


def write_brain(folder: Path, name: str, seed: int) -> None:
    """Write a noisy template brain, in template space, with its mask: nothing is left to find."""
    template = load_template()
    mask = template.mask[::2, ::2, ::2]
    affine = template.affine @ np.diag([2.0, 2.0, 2.0, 1.0])
    rng = np.random.default_rng(seed)
    data = template.white[::2, ::2, ::2] * 300 + template.grey[::2, ::2, ::2] * 200 + 100
    data = (data + rng.normal(0, 30, mask.shape)).clip(1) * mask
    write_volume(folder / f"{name}_T1w.nii.gz", data.astype(np.float32), affine)
    mask_path = folder / f"{name}_desc-brain_mask.nii.gz"
    write_volume(mask_path, mask.astype(np.uint8), affine, dtype=np.uint8)
