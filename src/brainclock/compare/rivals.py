"""Who can take part: how each is trained, and how an age is read from it.

Networks share everything but the objective: the architecture, the looks and poses of the scans, the batches,
the optimiser, the number of steps. One training may serve several rivals, which read it differently.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, get_args

RivalName = Literal[
    "rnc-ridge", "rnc-l1-head", "l1", "mse", "l1-ridge", "mse-ridge", "rnc-then-l1", "rnc+l1", "exp",
    "y-aware", "soft-label", "mean", "volume", "ridge-gradient", "ridge-intensity", "pca-gp",
]  # fmt: skip
Method = Literal[
    "rnc", "l1", "mse", "rnc-then-l1", "rnc+l1", "exp", "y-aware", "soft-label",
    "mean", "volume", "ridge-gradient", "ridge-intensity", "pca-gp",
]  # fmt: skip
Readout = Literal["ridge", "l1", "own"]

#: What each network changes in the settings of training; temperatures and widths as published.
NETWORKS: Mapping[str, Mapping[str, object]] = MappingProxyType(
    {
        "rnc": {"objective": "rnc"},
        "l1": {"objective": "l1"},
        "mse": {"objective": "mse"},
        "rnc-then-l1": {"objective": "rnc"},
        "rnc+l1": {"objective": "rnc+l1"},
        "exp": {"objective": "exp", "temperature": 0.1, "sigma_years": 2.0},
        "y-aware": {"objective": "y-aware", "temperature": 0.1, "sigma_years": 5.0},
        "soft-label": {"objective": "soft-label", "sigma_years": 2.0},
    }
)

#: How an age can be read from each network.
READOUTS: Mapping[str, tuple[Readout, ...]] = MappingProxyType(
    {
        "rnc": ("ridge", "l1"),
        "l1": ("own", "ridge"),
        "mse": ("own", "ridge"),
        "rnc-then-l1": ("own", "ridge"),
        "rnc+l1": ("own", "ridge"),
        "exp": ("ridge",),
        "y-aware": ("ridge",),
        "soft-label": ("own", "ridge"),
    }
)

#: Networks whose loss has a temperature that an axis may change.
WITH_TEMPERATURE = ("rnc", "rnc-then-l1", "rnc+l1", "exp", "y-aware")

#: Conventional regression: the same network, trained on the error of the age alone, however it is read.
CONVENTIONAL = ("l1", "mse", "l1-ridge", "mse-ridge")


@dataclass(frozen=True, slots=True)
class Rival:
    """One who takes part.

    Parameters
    ----------
    words : str
        In tables and figures.
    about : str
        What it is, one sentence.
    method : str
        The training that serves it.
    readout : str
        How the age is read; ``own`` for the classical ones, too.
    """

    words: str
    about: str
    method: Method
    readout: Readout = "own"


RIVALS: Mapping[str, Rival] = MappingProxyType(
    {
        "rnc-ridge": Rival(
            "RNC with ridge", "Rank-N-Contrast, then a ridge on the frozen embedding.", "rnc", "ridge"
        ),
        "rnc-l1-head": Rival(
            "RNC with L1 head", "Rank-N-Contrast, then a linear head of least absolute error.", "rnc", "l1"
        ),
        "l1": Rival("L1", "Mean absolute error, end to end, its own head.", "l1"),
        "mse": Rival("MSE", "Mean squared error, end to end, its own head.", "mse"),
        "l1-ridge": Rival("L1 with ridge", "As L1, but a ridge reads the embedding.", "l1", "ridge"),
        "mse-ridge": Rival("MSE with ridge", "As MSE, but a ridge reads the embedding.", "mse", "ridge"),
        "rnc-then-l1": Rival(
            "RNC then L1", "Rank-N-Contrast, its last steps fine-tuned on L1 from the ridge.", "rnc-then-l1"
        ),
        "rnc+l1": Rival("RNC + L1", "Both losses together.", "rnc+l1"),
        "exp": Rival("L^exp with ridge", "The loss of Barbano et al. (2023), then a ridge.", "exp", "ridge"),
        "y-aware": Rival(
            "y-aware with ridge", "The loss of Dufumier et al. (2021), then a ridge.", "y-aware", "ridge"
        ),
        "soft-label": Rival(
            "soft labels", "A Gaussian on age in bins of a year, as SFCN (Peng et al. 2021).", "soft-label"
        ),
        "mean": Rival("mean age", "Always the mean age of those who train.", "mean"),
        "volume": Rival(
            "volumes", "Ridge on the volume of brain, fluid and deep fluid, and their shares.", "volume"
        ),
        "ridge-gradient": Rival(
            "ridge on gradient", "Ridge on the smoothed gradient magnitude.", "ridge-gradient"
        ),
        "ridge-intensity": Rival(
            "ridge on intensity", "Ridge on the smoothed, z-scored intensity.", "ridge-intensity"
        ),
        "pca-gp": Rival(
            "GP on components",
            "Gaussian process on principal components of the gradient magnitude.",
            "pca-gp",
        ),
    }
)

assert set(RIVALS) == set(get_args(RivalName))
