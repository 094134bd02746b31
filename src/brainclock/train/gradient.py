"""The gradient of one step: over all views of the batch, whatever memory or processes it goes through."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from brainclock.config import TrainSettings
from brainclock.model.brain_age_model import BrainAgeModel
from brainclock.train.objective import batch_loss


@dataclass(frozen=True, slots=True, eq=False)
class Share:
    """Which views this process embeds.

    Parameters
    ----------
    order : Tensor, shape (m,)
        All views, those of the first process first. A remainder that does not divide by the number of
        processes is left out.
    mine : slice
        Those of this process, in that order.
    """

    order: Int64[Tensor, " m"]
    mine: slice


def share(views: int, fabric: Any = None) -> Share:
    """Deal the views of a batch out to the processes: one here, one there."""
    rank, ranks = (0, 1) if fabric is None else (fabric.global_rank, fabric.world_size)
    each = views // ranks
    order = torch.arange(ranks * each).reshape(each, ranks).T.flatten()
    return Share(order, slice(rank * each, (rank + 1) * each))


def put_gradient(
    model: BrainAgeModel,
    head: nn.Module,
    images: Float[Tensor, "m c i j k"],
    ages: Float[Tensor, " n"],
    mine: slice,
    settings: TrainSettings,
    scale: tuple[float, float],
    fabric: Any = None,
) -> float:
    """Put the gradient of the batch's loss into the weights, and return the loss.

    The loss needs the embeddings of the whole batch, the network doesn't: first the embeddings, then
    the loss and its slope for each embedding, then each embedding is taken back through the network by
    itself. So each process embeds its share, and with ``micro_batch`` the share goes through in
    pieces, first without a graph and then once more with one (Gao et al. 2021, arXiv:2101.06983). The
    gradient is that of one process with the whole batch, unless the network has batch norms.

    Parameters
    ----------
    model : BrainAgeModel
        On the device; its gradients must be None.
    head : Module
        Of the objective (`build_head`), on the device as well.
    images : Tensor, shape (m, c, i, j, k)
        The views of this process, on the device.
    ages : Tensor, shape (n,), years
        Of all views, in the order of the share.
    mine : slice
        Where the views of this process stand among all.
    settings : TrainSettings
    scale : (mean, standard deviation)
        Of the training ages, years.
    fabric : lightning_fabric.Fabric or None
        Device, precision and processes; None is one process on the CPU.
    """
    together = settings.micro_batch or len(images)
    pieces = torch.split(images, together)
    own = _embed(model, pieces, fabric)
    alone = fabric is None or fabric.world_size == 1
    everyone = own.detach() if alone else fabric.all_gather(own.detach()).flatten(0, 1)
    everyone.requires_grad_()
    loss = batch_loss(model, head, everyone, ages.to(images.device), settings, scale)
    loss.backward() if fabric is None else fabric.backward(loss)  # type: ignore[no-untyped-call]
    assert everyone.grad is not None
    slopes = everyone.grad[mine]
    if len(pieces) == 1:
        own.backward(slopes)  # type: ignore[no-untyped-call]
    else:
        for piece, slope in zip(pieces, slopes.split(together), strict=True):
            _embed(model, (piece,), fabric).backward(slope)  # type: ignore[no-untyped-call]
    if not alone:
        _add_up(model.encoder, fabric)
    return float(loss.detach())


def _embed(model: BrainAgeModel, pieces: tuple[Tensor, ...], fabric: Any) -> Float[Tensor, "m d"]:
    """Return the embeddings: of one piece with its graph, of several without, the model as it was."""
    with nullcontext() if fabric is None else fabric.autocast():
        if len(pieces) == 1:
            embeddings: Tensor = model.encoder(pieces[0])
            return embeddings
        # The pieces pass once more: the running means of batch norms must not move twice.
        before = [buffer.clone() for buffer in model.encoder.buffers()]
        with torch.no_grad():
            embeddings = torch.cat([model.encoder(piece) for piece in pieces])
            for buffer, value in zip(model.encoder.buffers(), before, strict=True):
                buffer.copy_(value)
        return embeddings


def _add_up(encoder: nn.Module, fabric: Any) -> None:
    """Sum the gradients over the processes; average the running means of batch norms.

    Regressor and head have the gradient of the whole batch in every process already.
    """
    gradients = [weight.grad for weight in encoder.parameters() if weight.grad is not None]
    together = fabric.all_reduce(torch.cat([gradient.flatten() for gradient in gradients]), reduce_op="sum")
    for gradient, part in zip(gradients, together.split([g.numel() for g in gradients]), strict=True):
        gradient.copy_(part.view_as(gradient))
    for name, buffer in encoder.named_buffers():
        if "running_" in name:
            buffer.copy_(fabric.all_reduce(buffer, reduce_op="mean"))
