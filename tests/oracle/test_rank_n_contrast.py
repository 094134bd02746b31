"""Against the published algorithm: one masked softmax a positive, differentiated by autograd.

As published (Zha et al. 2023), save that the diagonal leaves before the maximum is taken, without which
well separated embeddings underflow.
"""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from brainclock.train.rank_n_contrast import rank_n_contrast


def published(embeddings: Tensor, ages: Tensor, temperature: float = 2.0) -> Tensor:
    n = len(embeddings)
    off_diagonal = ~torch.eye(n, dtype=torch.bool)
    gaps = (ages[:, None] - ages[None]).abs()[off_diagonal].view(n, n - 1)
    logits = -(embeddings[:, None] - embeddings[None]).norm(2, dim=-1) / temperature
    logits = logits[off_diagonal].view(n, n - 1)
    logits = logits - logits.max(dim=1, keepdim=True).values.detach()
    loss = torch.zeros((), dtype=embeddings.dtype)
    for k in range(n - 1):
        mask = (gaps >= gaps[:, k : k + 1]).to(embeddings.dtype)
        log_probability = logits[:, k] - torch.log((mask * logits.exp()).sum(dim=-1))
        loss = loss - (log_probability / (n * (n - 1))).sum()
    return loss


@pytest.mark.parametrize("spread", [0.2, 1.0, 3.0])
def test_single_precision_agrees_with_the_published_loss_in_double(spread: float):
    generator = torch.Generator().manual_seed(5)
    person = torch.randn(48, 128, generator=generator)
    years = torch.randint(20, 90, (48,), generator=generator)
    ages = torch.cat([years, years])
    views = torch.cat([person, person + 0.1 * torch.randn(48, 128, generator=generator)])
    views = spread * (views + ages[:, None] / 20)
    views[7] = views[60]

    reference = views.double().requires_grad_()
    expected = published(reference, ages)
    expected.backward()
    leaf = views.clone().requires_grad_()
    loss = rank_n_contrast(leaf, ages)
    loss.backward()

    assert leaf.grad is not None
    assert reference.grad is not None
    assert loss.item() == pytest.approx(expected.item(), rel=1e-6)
    assert (leaf.grad.double() - reference.grad).norm() < 1e-5 * reference.grad.norm()
