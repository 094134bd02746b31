"""A map of where the years of a predicted age come from, on a lattice of its own."""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Float64
from numpy import ndarray

#: Unit of a map whose values are parts of the predicted age.
YEARS = "years"
#: Unit of a map of sensitivity: years for a change of one white-matter intensity in a voxel.
SENSITIVITY = "years per white-matter intensity"


@dataclass(frozen=True, slots=True)
class Lattice:
    """Where the voxels of a map lie on the model grid: voxel i of an axis at ``start + i · step``.

    Parameters
    ----------
    start : tuple of 3 float
        Centre of the first voxel, in voxels of the model grid.
    step : tuple of 3 float
        Distance between two voxels, in voxels of the model grid.
    """

    start: tuple[float, float, float] = (0.0, 0.0, 0.0)
    step: tuple[float, float, float] = (1.0, 1.0, 1.0)


@dataclass(frozen=True, slots=True, eq=False)
class AgeMap:
    """What each place adds to a predicted age; positive means older.

    Parameters
    ----------
    values : ndarray of float64, shape (i, j, k)
        Share of each voxel of the lattice, in ``unit``. Not a density: the shares of all voxels are summed.
    lattice : Lattice
    predicted_age : float
        Years.
    intercept : float
        What the shares are counted from, years: the regressor's intercept, or the age of a baseline.
    method : str
    layer : str or None
        Layer of the network at which the map was made; None for the image itself.
    unit : str
        ``YEARS`` or ``SENSITIVITY``.
    additive : bool
        Whether the shares are meant to add up to ``predicted_age − intercept``.
    """

    values: Float64[ndarray, "i j k"]
    lattice: Lattice
    predicted_age: float
    intercept: float
    method: str
    layer: str | None = None
    unit: str = YEARS
    additive: bool = True

    @property
    def total(self) -> float:
        """Sum of all shares."""
        return float(self.values.sum())

    @property
    def completeness_error(self) -> float:
        """How far the shares are from adding up to ``predicted_age − intercept``, years."""
        return self.total - (self.predicted_age - self.intercept)
