"""One network: prepared intensity in, age out, one differentiable module."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from brainclock.config import Grid, RunSettings, derive_seed
from brainclock.errors import ConfigError, ModelError
from brainclock.model.channels import Channels
from brainclock.model.regressor import AffineRegressor
from brainclock.model.resnet import ResNet3d


class BrainAgeModel(nn.Module):
    """Channels, encoder and affine regressor.

    Parameters
    ----------
    settings : RunSettings
        ``prepare.grid`` is the grid of the volumes; ``channels`` and ``encoder`` describe the network.
    generator : torch.Generator
        Source of the initial weights.

    Raises
    ------
    ConfigError
        The encoder does not fit the grid, or is to see mirror images and the grid has no middle plane.
    """

    def __init__(self, settings: RunSettings, generator: torch.Generator) -> None:
        super().__init__()
        grid = settings.prepare.grid
        self.settings = settings
        if settings.encoder.mirror:
            _check_mirror(grid, settings.channels.pool[0])
        self.channels = Channels(settings.channels, grid.spacing_mm)
        self.encoder = ResNet3d(
            settings.encoder,
            len(settings.channels.channels),
            self.channels.output_shape(grid.shape),
            generator,
        )
        with torch.random.fork_rng(devices=[]):
            self.regressor = nn.Linear(self.encoder.embedding_size, 1)
        nn.init.zeros_(self.regressor.weight)
        nn.init.zeros_(self.regressor.bias)

    @classmethod
    def build(cls, settings: RunSettings) -> BrainAgeModel:
        """Return an untrained model: random encoder (from the seed alone), regressor of zeros."""
        generator = torch.Generator().manual_seed(derive_seed(settings.seed, "initial weights"))
        return cls(settings, generator)

    @property
    def grid(self) -> Grid:
        """The grid on which volumes must lie."""
        return self.settings.prepare.grid

    @property
    def embedding_size(self) -> int:
        """Number of features in an embedding."""
        return self.encoder.embedding_size

    def embed(self, volumes: Float[Tensor, "n 1 x y z"]) -> Float[Tensor, "n d"]:
        """Return the embedding of each prepared volume; raises as `see`."""
        return self.encode(self.see(volumes))

    def see(self, volumes: Float[Tensor, "n 1 x y z"]) -> Float[Tensor, "n c i j k"]:
        """Return what the encoder sees of each prepared volume.

        Raises
        ------
        ModelError
            The volumes do not have the shape of the grid.
        """
        if tuple(volumes.shape[2:]) != self.grid.shape:
            raise ModelError(
                f"The model takes volumes of {self.grid.shape} voxels and was given "
                f"{tuple(volumes.shape[2:])}: prepare the scan on the grid of the model."
            )
        images: Tensor = self.channels(volumes)
        return images

    def encode(self, images: Float[Tensor, "n c i j k"]) -> Float[Tensor, "n d"]:
        """Return the embedding of each stack of channels; with ``encoder.mirror`` the mean of both sides.

        The channels of a mirrored volume are the mirrored channels, so these are made once.
        """
        embeddings: Tensor = self.encoder(images)
        if self.settings.encoder.mirror:
            embeddings = (embeddings + self.encoder(images.flip(2))) / 2
        return embeddings

    def read(self, embeddings: Float[Tensor, "n d"]) -> Float[Tensor, " n"]:
        """Return the age for each embedding, years, in single precision or better."""
        with torch.autocast(embeddings.device.type, enabled=False):
            ages: Tensor = self.regressor(embeddings.to(self.regressor.weight.dtype))
            return ages[:, 0]

    def forward(self, volumes: Float[Tensor, "n 1 x y z"]) -> Float[Tensor, " n"]:
        """Return the age of each prepared volume, years.

        Parameters
        ----------
        volumes : Tensor, shape (n, 1, x, y, z)
            Prepared intensity on the grid of the model: 0 outside the mask, above 0 inside.
        """
        return self.read(self.embed(volumes))

    def set_regressor(self, regressor: AffineRegressor) -> None:
        """Take over a fitted regressor.

        Raises
        ------
        ModelError
            It was fitted on embeddings of another length.
        """
        if len(regressor.weight) != self.embedding_size:
            raise ModelError(
                f"The regressor has {len(regressor.weight)} weights and the embedding {self.embedding_size} "
                "features: fit it on embeddings of this model."
            )
        with torch.no_grad():
            self.regressor.weight.copy_(torch.from_numpy(regressor.weight)[None])
            self.regressor.bias.fill_(regressor.intercept)

    def round_kernels(self) -> None:
        """Round the kernels of the encoder to half precision, in which a folder then keeps them exactly.

        To be done before the regressor is fitted: it takes up what little the embedding moves.
        """
        with torch.no_grad():
            for weight in self.encoder.parameters():
                if weight.ndim == 5:
                    weight.copy_(weight.half())


def _check_mirror(grid: Grid, pool: int) -> None:
    """Refuse a grid whose voxels do not fall on each other if left and right are exchanged."""
    corners = np.stack(np.meshgrid(*((0, size - 1) for size in grid.shape), indexing="ij"), -1).reshape(-1, 3)
    mirrored = np.array([grid.shape[0] - 1, 0, 0]) + corners * [-1, 1, 1]
    here, there = (at @ grid.matrix[:3, :3].T + grid.matrix[:3, 3] for at in (corners, mirrored))
    off_mm = float(np.linalg.norm(there - here * [-1, 1, 1], axis=1).max())
    if off_mm > grid.spacing_mm[0] / 2:
        raise ConfigError(
            "encoder.mirror = true, but the grid is not symmetric about x = 0: its mirror image lies "
            f"{off_mm:.1f} mm beside it, and half a voxel is allowed. Use a symmetric prepare.grid, or "
            "encoder.mirror = false."
        )
    if grid.shape[0] % pool:
        raise ConfigError(
            f"encoder.mirror = true, but channels.pool = {pool} does not divide the {grid.shape[0]} voxels "
            "from left to right: the mirror image would fall into other blocks. Choose another pool."
        )
