"""Train on a few random images, alone and in two processes; run as a script by test_distributed.py.

``python two_processes.py OUT`` writes OUT/<case>-<1 or 2>.safetensors.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch

from brainclock.config import AugmentSettings, RunSettings
from brainclock.train.fit import leave_processes
from brainclock.train.loop import Task, train_encoder
from brainclock.train.views import Views

CASES = {
    "rnc": {},
    "l1": {"objective": "l1"},
    "rnc in pieces": {"micro_batch": 1},
    "soft-label": {"objective": "soft-label", "steps": 6},
    "mse in pieces": {"objective": "mse", "micro_batch": 3},
}


def settings(**train) -> RunSettings:
    affine = [[8, 0, 0, -44], [0, 8, 0, -44], [0, 0, 8, -44], [0, 0, 0, 1]]
    return RunSettings.model_validate(
        {
            "channels": {"pool": [1, 1, 1]},
            "prepare": {"grid": {"shape": [12, 12, 12], "affine": affine}},
            "encoder": {"depth": 10, "width": 4, "stem": "s1", "cells": [1, 1, 1]},
            "train": {"steps": 3, "batch_size": 4, "warmup_steps": 0, "learning_rate": 1e-4} | train,
        }
    )


def task() -> Task:
    images = np.random.default_rng(0).random((8, 2, 1, 12, 12, 12)).astype(np.float16)
    ages = np.array([20.0, 25, 31, 40, 48, 55, 63, 77])
    views = Views(images, (8.0, 8.0, 8.0), AugmentSettings())
    return Task(views, np.arange(8), ages, tuple(f"p{i}" for i in range(8)), ("here",) * 8)


def weights(model) -> torch.Tensor:
    return torch.cat([weight.detach().flatten() for weight in model.parameters()])


def _train_all(fabric, out: Path) -> None:
    from safetensors.torch import save_file

    torch.set_num_threads(1)
    for name, train in CASES.items():
        model = train_encoder(task(), settings(**train), fabric=fabric)
        if fabric is None or fabric.is_global_zero:
            processes = 1 if fabric is None else fabric.world_size
            save_file({"weights": weights(model)}, out / f"{name}-{processes}.safetensors")
    leave_processes()


if __name__ == "__main__":
    from lightning_fabric import Fabric

    _train_all(None, Path(sys.argv[1]))
    Fabric(accelerator="cpu", devices=2, strategy="ddp_spawn").launch(_train_all, Path(sys.argv[1]))
