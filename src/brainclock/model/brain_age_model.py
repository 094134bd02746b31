"""One network: prepared intensity in, age out, one differentiable module."""

from __future__ import annotations

from math import prod

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from brainclock.config import Grid, RunSettings, derive_seed
from brainclock.errors import ConfigError, ModelError
from brainclock.model.channels import Channels, block_mean
from brainclock.model.regressor import Regressors
from brainclock.model.resnet import ResNet3d


class BrainAgeModel(nn.Module):
    """Channels, encoder and affine regressor; on request a second regressor, of the channels themselves.

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
            _check_mirror(grid, settings.channels.pool[0] * max(settings.regressor.blocks, 1))
        self.channels = Channels(settings.channels, grid.spacing_mm)
        self.encoder = ResNet3d(
            settings.encoder,
            len(settings.channels.channels),
            self.channels.output_shape(grid.shape),
            generator,
        )
        with torch.random.fork_rng(devices=[]):
            self.regressor = nn.Linear(self.encoder.embedding_size, 1)
            self.blocks = (
                nn.Linear(self._count_blocks(), 1, bias=False) if settings.regressor.blocks else None
            )
        for weight in (*self.regressor.parameters(), *(self.blocks.parameters() if self.blocks else ())):
            nn.init.zeros_(weight)

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

    def read(
        self, embeddings: Float[Tensor, "n d"], images: Float[Tensor, "n c i j k"]
    ) -> Float[Tensor, " n"]:
        """Return the age of each scan, years, in single precision or better.

        Parameters
        ----------
        embeddings : Tensor, shape (n, d)
        images : Tensor, shape (n, c, i, j, k)
            What the encoder saw: a model with ``regressor.blocks`` reads these as well.
        """
        ages = self.read_embeddings(embeddings)
        if self.blocks is not None:
            with torch.autocast(images.device.type, enabled=False):
                ages = ages + self.blocks(self.block_means(images))[:, 0]
        return ages

    def read_embeddings(self, embeddings: Float[Tensor, "n d"]) -> Float[Tensor, " n"]:
        """Return the age, or with ``regressor.blocks`` its part, that is read off the embedding, years."""
        with torch.autocast(embeddings.device.type, enabled=False):
            ages: Tensor = self.regressor(embeddings.to(self.regressor.weight.dtype))
            return ages[:, 0]

    def block_means(self, images: Float[Tensor, "n c i j k"]) -> Float[Tensor, "n b"]:
        """Return the means over the blocks of each channel, of both sides with ``encoder.mirror``, flat."""
        images = images.to(self.regressor.weight.dtype)
        if self.settings.encoder.mirror:
            images = (images + images.flip(2)) / 2
        return block_mean(images, (self.settings.regressor.blocks,) * 3).flatten(1)

    @property
    def block_shape(self) -> tuple[int, int, int]:
        """Blocks along each axis, of one channel."""
        side = self.settings.regressor.blocks
        i, j, k = (-(-size // side) for size in self.channels.output_shape(self.grid.shape))
        return i, j, k

    def _count_blocks(self) -> int:
        return len(self.settings.channels.channels) * prod(self.block_shape)

    def forward(self, volumes: Float[Tensor, "n 1 x y z"]) -> Float[Tensor, " n"]:
        """Return the age of each prepared volume, years.

        Parameters
        ----------
        volumes : Tensor, shape (n, 1, x, y, z)
            Prepared intensity on the grid of the model: 0 outside the mask, above 0 inside.
        """
        images = self.see(volumes)
        return self.read(self.encode(images), images)

    def set_regressors(self, regressors: Regressors) -> None:
        """Take over what was fitted; of two regressors the mean.

        Raises
        ------
        ModelError
            One was fitted on features of another length, or one is missing or too many.
        """
        found = [(regressors.embedding, self.regressor, "embedding")]
        if (regressors.blocks is None) != (self.blocks is None):
            raise ModelError(
                "The model reads blocks or not, and the regressors do otherwise: fit them again."
            )
        if regressors.blocks is not None and self.blocks is not None:
            found.append((regressors.blocks, self.blocks, "blocks"))
        with torch.no_grad():
            for regressor, layer, name in found:
                if len(regressor.weight) != layer.in_features:
                    raise ModelError(
                        f"The regressor has {len(regressor.weight)} weights and the {name} "
                        f"{layer.in_features} features: fit it on those of this model."
                    )
                weight = torch.from_numpy(regressor.weight / len(found))
                # the many weights of blocks are kept in half precision, as kernels are: it moves no age
                layer.weight.copy_((weight.half() if layer is self.blocks else weight)[None])
            intercepts = [regressor.intercept for regressor, _, _ in found]
            self.regressor.bias.fill_(sum(intercepts) / len(found))

    def round_kernels(self) -> None:
        """Round the kernels of the encoder to half precision, in which a folder then keeps them exactly.

        To be done before the regressor is fitted: it takes up what little the embedding moves.
        """
        with torch.no_grad():
            for weight in self.encoder.parameters():
                if weight.ndim == 5:
                    weight.copy_(weight.half())


def _check_mirror(grid: Grid, block: int) -> None:
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
    if grid.shape[0] % block:
        raise ConfigError(
            f"encoder.mirror = true, but blocks of {block} voxels (channels.pool, and regressor.blocks of "
            f"these) do not divide the {grid.shape[0]} voxels from left to right: the mirror image would "
            "fall into others. Choose another pool or other blocks."
        )
