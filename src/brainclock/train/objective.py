"""What a step makes smaller: a contrast of the embeddings, or the error of the age itself.

Some objectives have a head that the model does not keep: the projection in which a contrast compares
directions, the age bins of soft labels. It is trained with the encoder and then left behind.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Float64
from numpy import ndarray
from torch import Tensor, nn

from brainclock.config import RunSettings, TrainSettings
from brainclock.errors import ConfigError
from brainclock.model.brain_age_model import BrainAgeModel
from brainclock.train.kernel_contrast import exp_contrast, y_aware_contrast
from brainclock.train.rank_n_contrast import rank_n_contrast

#: Objectives that train the model's own regressor, on standardised age.
WITH_REGRESSOR = ("l1", "mse", "rnc+l1")

_PROJECTED = 128  # as published for y-aware and exp


class AgeBins(nn.Module):
    """Soft labels (Peng et al. 2021, doi:10.1016/j.media.2020.101871): a probability for each year of age.

    Parameters
    ----------
    embedding_size : int
    youngest, oldest : float
        Of the training people; the bins, one year wide, reach three ``sigma_years`` beyond.
    sigma_years : float
        Standard deviation of the target, a Gaussian about the true age.
    """

    edges: Tensor

    def __init__(self, embedding_size: int, youngest: float, oldest: float, sigma_years: float) -> None:
        super().__init__()
        self.sigma_years = sigma_years
        low, high = int(youngest - 3 * sigma_years), int(oldest + 3 * sigma_years) + 1
        self.register_buffer("edges", torch.arange(low, high + 1, dtype=torch.float32))
        with torch.random.fork_rng(devices=[]):
            self.logits = nn.Linear(embedding_size, high - low)
        nn.init.zeros_(self.logits.weight)
        nn.init.zeros_(self.logits.bias)

    def forward(self, embeddings: Float[Tensor, "n d"], ages: Float[Tensor, " n"]) -> Float[Tensor, ""]:
        """Return the divergence KL(target ‖ predicted), a mean over the batch."""
        target = self.target(ages)
        predicted = self.logits(embeddings).log_softmax(dim=1)
        divergence: Tensor = (torch.xlogy(target, target) - target * predicted).sum(dim=1).mean()
        return divergence

    def target(self, ages: Float[Tensor, " n"]) -> Float[Tensor, "n bins"]:
        """Return the share of the Gaussian about each age in each bin; what lies outside is spread on all."""
        below = torch.special.ndtr((self.edges - ages[:, None]) / self.sigma_years)
        shares: Tensor = below.diff(dim=1)
        return shares / shares.sum(dim=1, keepdim=True)

    def read(self, embeddings: Float[Tensor, "n d"]) -> Float[Tensor, " n"]:
        """Return the expected age under the predicted probabilities, years."""
        centres = (self.edges[1:] + self.edges[:-1]) / 2
        ages: Tensor = self.logits(embeddings).softmax(dim=1) @ centres
        return ages


def build_head(
    settings: TrainSettings, embedding_size: int, ages: Float64[ndarray, " n"], generator: torch.Generator
) -> nn.Module:
    """Return the head that the objective has besides the model; the identity where it has none.

    Parameters
    ----------
    settings : TrainSettings
    embedding_size : int
    ages : ndarray of float64, shape (n,), years
        Of the training people.
    generator : torch.Generator
        Source of the initial weights.
    """
    if settings.objective == "soft-label":
        return AgeBins(embedding_size, float(ages.min()), float(ages.max()), settings.sigma_years)
    if settings.objective in ("exp", "y-aware"):
        with torch.random.fork_rng(devices=[]):
            layers = nn.Linear(embedding_size, _PROJECTED), nn.Linear(_PROJECTED, _PROJECTED)
        for layer in layers:
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu", generator=generator)
            nn.init.zeros_(layer.bias)
        return nn.Sequential(layers[0], nn.ReLU(), layers[1])
    return nn.Identity()


def batch_loss(
    model: BrainAgeModel,
    head: nn.Module,
    embeddings: Float[Tensor, "n d"],
    ages: Float[Tensor, " n"],
    settings: TrainSettings,
    scale: tuple[float, float],
) -> Float[Tensor, ""]:
    """Return the loss of a batch in single precision or better.

    Parameters
    ----------
    model : BrainAgeModel
        Its regressor predicts standardised age for the objectives of `WITH_REGRESSOR`; the others do not
        use it.
    head : Module
        From `build_head`.
    embeddings : Tensor, shape (n, d)
        All first views, then all second views.
    ages : Tensor, shape (n,), years
    settings : TrainSettings
    scale : (mean, standard deviation)
        Of the training ages, years.
    """
    match settings.objective:
        case "rnc":
            return rank_n_contrast(embeddings, ages, temperature=settings.temperature)
        case "rnc+l1":
            order = rank_n_contrast(embeddings, ages, temperature=settings.temperature)
            return order + settings.l1_weight * _errors(model, embeddings, ages, scale).abs().mean()
        case "exp" | "y-aware":
            contrast = exp_contrast if settings.objective == "exp" else y_aware_contrast
            kernel = {"temperature": settings.temperature, "sigma_years": settings.sigma_years}
            return contrast(head(embeddings.float()), ages, **kernel)
        case "l1":
            return _errors(model, embeddings, ages, scale).abs().mean()
        case "mse":
            return _errors(model, embeddings, ages, scale).square().mean()
        case "soft-label":
            divergence: Tensor = head(embeddings.float(), ages)
            return divergence


def _errors(
    model: BrainAgeModel,
    embeddings: Float[Tensor, "n d"],
    ages: Float[Tensor, " n"],
    scale: tuple[float, float],
) -> Float[Tensor, " n"]:
    """Errors of the model's own regressor, in standard deviations of age."""
    mean, deviation = scale
    return model.read_embeddings(embeddings) - (ages - mean) / deviation


def check_objective(settings: RunSettings) -> None:
    """Refuse blocks where the regressor is trained with the encoder: no other would be fitted.

    Raises
    ------
    ConfigError
    """
    if settings.regressor.blocks and settings.train.objective in WITH_REGRESSOR:
        raise ConfigError(
            f"regressor.blocks = {settings.regressor.blocks}, but with train.objective = "
            f"{settings.train.objective} the regressor is trained with the encoder: set it to 0."
        )


def to_years(model: BrainAgeModel, scale: tuple[float, float]) -> None:
    """Turn a regressor of standardised age into one of years."""
    mean, deviation = scale
    with torch.no_grad():
        model.regressor.weight.mul_(deviation)
        model.regressor.bias.mul_(deviation).add_(mean)


def from_years(model: BrainAgeModel, scale: tuple[float, float]) -> None:
    """Turn a regressor of years into one of standardised age."""
    mean, deviation = scale
    with torch.no_grad():
        model.regressor.weight.div_(deviation)
        model.regressor.bias.sub_(mean).div_(deviation)
