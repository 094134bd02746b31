"""The model that a folder holds: the mean of one or several networks, again one differentiable module."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from brainclock.config import Grid, RunSettings
from brainclock.errors import ModelError
from brainclock.model.brain_age_model import BrainAgeModel


class Ensemble(nn.Module):
    """Members whose ages are averaged.

    Each age is an affine function of the member's embedding (and of block means, if it reads these), so the
    mean is one of all embeddings together: an ensemble has an embedding and an intercept as a network has.

    Parameters
    ----------
    settings : RunSettings
        Of the run that trained the members.
    members : sequence of BrainAgeModel
        Their settings may differ in what does not describe the network, such as the seed.

    Attributes
    ----------
    members : sequence of BrainAgeModel

    Raises
    ------
    ModelError
        There is none, or one is another network.
    """

    members: Sequence[BrainAgeModel]

    def __init__(self, settings: RunSettings, members: Sequence[BrainAgeModel]) -> None:
        super().__init__()
        if not members:
            raise ModelError("An ensemble needs one member or more: give it the trained models.")
        for number, member in enumerate(members):
            for part in ("prepare", "channels", "encoder", "regressor"):
                if getattr(member.settings, part) != getattr(settings, part):
                    raise ModelError(
                        f"Member {number} was made with other settings of [{part}] than the ensemble: "
                        "average only models on the same grid, of the same network."
                    )
        self.settings = settings
        self.members = cast("Sequence[BrainAgeModel]", nn.ModuleList(members))

    @classmethod
    def build(cls, settings: RunSettings, members: int) -> Ensemble:
        """Return an untrained ensemble, to be filled."""
        return cls(settings, [BrainAgeModel.build(settings) for _ in range(members)])

    @property
    def grid(self) -> Grid:
        """The grid on which volumes must lie."""
        return self.settings.prepare.grid

    @property
    def embedding_size(self) -> int:
        """Number of features of all members together."""
        return sum(member.embedding_size for member in self.members)

    @property
    def intercept(self) -> float:
        """The age of an embedding of zeros, and of blocks of zeros, years."""
        return float(torch.stack([member.regressor.bias[0].double() for member in self.members]).mean())

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.members[0].regressor.weight.device

    def embed(self, volumes: Float[Tensor, "n 1 x y z"]) -> Float[Tensor, "n d"]:
        """Return the embedding of each prepared volume: those of the members, one after the other.

        Raises
        ------
        ModelError
            The volumes do not have the shape of the grid.
        """
        return self.look(volumes)[0]

    def look(self, volumes: Float[Tensor, "n 1 x y z"]) -> tuple[Float[Tensor, "n d"], Float[Tensor, " n"]]:
        """Return the embedding and the age of each prepared volume.

        Raises
        ------
        ModelError
            The volumes do not have the shape of the grid.
        """
        images = self.members[0].see(volumes)  # the members see the same
        embeddings = [member.encode(images) for member in self.members]
        ages = [member.read(own, images) for member, own in zip(self.members, embeddings, strict=True)]
        return torch.cat(embeddings, dim=1), torch.stack(ages).mean(dim=0)

    def forward(self, volumes: Float[Tensor, "n 1 x y z"]) -> Float[Tensor, " n"]:
        """Return the age of each prepared volume, years: the mean of the members' ages.

        Parameters
        ----------
        volumes : Tensor, shape (n, 1, x, y, z)
            Prepared intensity on the grid of the model: 0 outside the mask, above 0 inside.
        """
        return self.look(volumes)[1]
