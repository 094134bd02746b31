"""Stage 1: train the encoder, step by step, so that it can be killed at any step and goes on exactly."""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float64, Int
from numpy import ndarray
from torch import nn

from brainclock.config import RegressorSettings, RunSettings, TrainSettings, derive_seed
from brainclock.errors import ConfigError
from brainclock.execution.progress import progress_bar
from brainclock.model.brain_age_model import BrainAgeModel
from brainclock.train.checkpoint import load_checkpoint, save_checkpoint
from brainclock.train.gradient import put_gradient, share
from brainclock.train.objective import WITH_REGRESSOR, build_head, from_years, to_years
from brainclock.train.sampling import draw_batch
from brainclock.train.signals import held_back
from brainclock.train.views import Views


@dataclass(frozen=True, slots=True, eq=False)
class Task:
    """What is trained on: views, ages and sites of the training people (rows into the views).

    ``start`` is the model whose weights training begins with; None begins with random ones.
    """

    views: Views
    rows: Int[ndarray, " n"]
    ages: Float64[ndarray, " n"]
    people: tuple[str, ...]
    sites: tuple[str, ...]
    start: BrainAgeModel | None = None

    @property
    def scale(self) -> tuple[float, float]:
        """Mean and standard deviation of the ages, years."""
        return float(self.ages.mean()), max(float(self.ages.std()), 1.0)

    def identity(self, settings: RunSettings) -> str:
        """SHA-256 of everything that decides the weights."""
        people = [list(self.people), list(self.sites), self.ages.tolist(), self.rows.tolist()]
        free = {"checkpoint_minutes": 0.0}
        train = settings.train.model_copy(update=free)
        free_of = {"train": train, "device": "auto", "regressor": RegressorSettings()}
        fixed = settings.model_copy(update=free_of)
        parts = [fixed.digest(), self.views.origin, people]
        if self.start is not None:
            parts.append(_fingerprint(self.start))
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


class Learner(nn.Module):
    """The model, and the head of the objective that is no part of it (`build_head`)."""

    def __init__(self, model: BrainAgeModel, head: nn.Module) -> None:
        super().__init__()
        self.model, self.head = model, head


@dataclass(slots=True)
class Progress:
    """Handed to the observer at the end of each epoch.

    Parameters
    ----------
    step : int
        Steps done.
    loss : float
        Mean over the epoch.
    learning_rate : float
    seconds : float
        Since this process began.
    steps_here : int
        Steps done by this process; those before it were done by an earlier run.
    model : BrainAgeModel
        The averaged model.
    """

    step: int
    loss: float
    learning_rate: float
    seconds: float
    steps_here: int
    model: BrainAgeModel


def train_encoder(task: Task, settings: RunSettings, **options: Any) -> BrainAgeModel:
    """Train and return the averaged model; parameters and errors as in `train_with_head`."""
    return train_with_head(task, settings, **options).model


def train_with_head(
    task: Task,
    settings: RunSettings,
    *,
    checkpoint: Path | None = None,
    observe: Callable[[Progress], None] | None = None,
    fabric: Any = None,
) -> Learner:
    """Train and return the averaged weights (EMA), in evaluation mode on the CPU.

    SIGTERM and Ctrl-C take effect after the step, once it is in the checkpoint (with several
    processes at once: then the last checkpoint counts).

    Parameters
    ----------
    task : Task
    settings : RunSettings
    checkpoint : Path or None
        Where to write how far it is, and to go on from.
    observe : callable or None
        Called with the `Progress` after every ``steps_per_epoch`` steps; it must not change the model.
    fabric : lightning_fabric.Fabric or None
        Device, precision and processes; None is one process on the CPU.

    Raises
    ------
    ConfigError
        The loss is no longer a number.
    InputError
        The checkpoint is damaged.
    """
    learner, average = _begin(task, settings), _begin(task, settings)
    average.eval()
    if fabric is not None:
        learner.to(fabric.device), average.to(fabric.device)
    optimiser = torch.optim.AdamW(
        weight_groups(learner, settings.train), lr=settings.train.learning_rate, betas=(0.9, 0.99)
    )
    modules = {
        "model": learner.model, "average": average.model, "head": learner.head, "average_head": average.head
    }  # fmt: skip
    identity = task.identity(settings)
    done, total = load_checkpoint(checkpoint, identity, modules, optimiser) if checkpoint else (0, 0.0)
    if fabric is not None:
        optimiser = fabric.setup_optimizers(optimiser)
    alone = fabric is None or fabric.world_size == 1
    leader = fabric is None or fabric.is_global_zero
    last, epoch = settings.train.steps, settings.train.steps_per_epoch
    saved = started = time.monotonic()
    with held_back(alone) as asked, progress_bar(last, "train", done=done, show=leader) as advance:
        for now in range(done + 1, last + 1):
            rate = learning_rate(now - 1, settings.train)
            total += _step(learner, optimiser, rate, task, settings, now - 1, fabric)
            _follow(average, learner, now - 1, settings.train.ema)
            if observe and leader and (now % epoch == 0 or now == last):
                seconds = time.monotonic() - started
                mean = total / ((now - 1) % epoch + 1)
                observe(Progress(now, mean, rate, seconds, now - done, average.model))
            if now % epoch == 0:
                total = 0.0
            late = time.monotonic() - saved >= 60 * settings.train.checkpoint_minutes
            stop = asked()
            if checkpoint and leader and (late or stop or now == last):
                save_checkpoint(checkpoint, now, identity, total, modules, optimiser)
                saved = time.monotonic()
            advance()
            if stop:
                break
    average.cpu()
    if settings.train.objective in WITH_REGRESSOR:
        to_years(average.model, task.scale)
    return average


def learning_rate(step: int, settings: TrainSettings) -> float:
    """Linear warm-up, then half a cosine down to a thousandth (Loshchilov and Hutter 2017)."""
    warm = min(1.0, (step + 1) / max(1, settings.warmup_steps))
    cosine = 0.5 * (1 + math.cos(math.pi * step / settings.steps))
    return settings.learning_rate * warm * (0.001 + 0.999 * cosine)


def weight_groups(model: nn.Module, settings: TrainSettings) -> list[dict[str, Any]]:
    """Matrices and kernels decay; biases and norms do not."""
    matrices = [weight for weight in model.parameters() if weight.ndim > 1]
    rest = [weight for weight in model.parameters() if weight.ndim <= 1]
    return [
        {"params": matrices, "weight_decay": settings.weight_decay},
        {"params": rest, "weight_decay": 0.0},
    ]


def _begin(task: Task, settings: RunSettings) -> Learner:
    """Return the weights before the first step."""
    model = BrainAgeModel.build(settings)
    if task.start is not None:
        model.load_state_dict(task.start.state_dict())
        from_years(model, task.scale)
    generator = torch.Generator().manual_seed(derive_seed(settings.seed, "initial head"))
    return Learner(model, build_head(settings.train, model.embedding_size, task.ages, generator))


def _fingerprint(model: nn.Module) -> str:
    """SHA-256 of all weights."""
    digest = hashlib.sha256()
    for name, weight in model.state_dict().items():
        digest.update(name.encode() + weight.cpu().numpy().tobytes())
    return digest.hexdigest()


def _step(
    learner: Learner,
    optimiser: Any,
    rate: float,
    task: Task,
    settings: RunSettings,
    step: int,
    fabric: Any,
) -> float:
    """Draw the batch of one step, move the weights against its gradient, and return its loss."""
    train = settings.train
    for group in optimiser.param_groups:
        group["lr"] = rate
    optimiser.zero_grad(set_to_none=True)
    sites = task.sites if train.balance_sites else None
    chosen = draw_batch(task.ages, task.people, train.batch_size, settings.seed, step, sites)
    twice = np.concatenate([chosen, chosen])
    generator = torch.Generator().manual_seed(derive_seed(settings.seed, "views", step))
    drawn = task.views.draw(task.rows[twice], generator)
    part = share(len(twice), fabric)
    images = task.views.make(drawn.part(part.order[part.mine]), learner.model.regressor.weight.device)
    ages = torch.from_numpy(task.ages[twice]).float()[part.order]
    loss = put_gradient(learner.model, learner.head, images, ages, part.mine, train, task.scale, fabric)
    if not math.isfinite(loss):
        raise ConfigError(
            f"At step {step + 1} the loss is no longer a number: lower train.learning_rate or "
            "train.clip_norm, or use precision 32-true."
        )
    _clip(learner, optimiser, train.clip_norm, fabric)
    optimiser.step()
    return loss


def _clip(model: nn.Module, optimiser: Any, longest: float, fabric: Any) -> None:
    """Shorten the gradient of all weights together; half precision is first scaled back."""
    if fabric is None:
        nn.utils.clip_grad_norm_(model.parameters(), longest)
    else:
        fabric.clip_gradients(model, optimiser, max_norm=longest, error_if_nonfinite=False)


def _follow(average: nn.Module, model: nn.Module, step: int, momentum: float) -> None:
    """Exponential moving average, quicker at the start; buffers are copied."""
    keep = min(momentum, (1 + step) / (10 + step))
    with torch.no_grad():
        for slow, fast in zip(average.parameters(), model.parameters(), strict=True):
            slow.lerp_(fast, 1 - keep)
        for held, current in zip(average.buffers(), model.buffers(), strict=True):
            held.copy_(current)
