"""Models of categories: proportional odds for ordered scores, logistic regression for groups."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float64, Int64
from numpy import ndarray
from numpy.random import Generator

from brainclock.errors import InputError
from brainclock.stats.linear import Effect, check_design

#: A score with more levels than this is not taken for an ordinal scale.
MOST_LEVELS = 12
#: Odds ratios are per so many years of gap.
YEARS = 5.0


def proportional_odds(
    score: Float64[ndarray, " n"],
    gap: Float64[ndarray, " n"],
    covariates: Float64[ndarray, "n k"],
    names: tuple[str, ...],
    level: float = 0.95,
) -> Effect:
    """Return the odds ratio of a higher score per 5 years of gap.

    Cumulative logit model, logit P(score ≤ j) = θ_j − xβ (McCullagh 1980,
    doi:10.1111/j.2517-6161.1980.tb01109.x); Wald interval and test.

    Parameters
    ----------
    score : ndarray of float, shape (n,)
        Of few levels, such as CDR or Hoehn and Yahr.
    gap : ndarray of float, shape (n,), years
    covariates : ndarray of float, shape (n, k)
        Without a column of ones.

    Raises
    ------
    InputError
        The score has fewer than 3 or more than 12 levels, the covariates are collinear, or the model
        does not converge (a score that the gap separates completely, or levels of one or two people).
    """
    from scipy import stats
    from statsmodels.miscmodels.ordinal_model import OrderedModel

    levels, codes = np.unique(score, return_inverse=True)
    if not 3 <= levels.size <= MOST_LEVELS:
        fix = "The correlations say what there is to say."
        raise InputError("ordinal model", f"{levels.size} levels", f"3 to {MOST_LEVELS}", fix)
    centre, spread = covariates.mean(axis=0), np.maximum(covariates.std(axis=0), 1e-300)
    design = np.column_stack([gap / YEARS, (covariates - centre) / spread])
    check_design(np.column_stack([np.ones(gap.size), design]), ("intercept", "gap", *names))
    fitted = _converged(
        lambda: OrderedModel(codes, design, distr="logit").fit(
            method="bfgs", disp=False, gtol=1e-8, maxiter=500
        ),
        "ordinal model",
    )
    beta, error = float(fitted.params[0]), float(fitted.bse[0])
    reach = float(stats.norm.ppf((1 + level) / 2)) * error
    p = float(2 * stats.norm.sf(abs(beta) / error))
    return Effect(float(np.exp(beta)), float(np.exp(beta - reach)), float(np.exp(beta + reach)), np.inf, p)


@dataclass(frozen=True, slots=True, eq=False)
class AddedValue:
    """What the gap adds to telling patients from controls.

    Parameters
    ----------
    likelihood_ratio, p : float
        χ² with one degree of freedom: 2 (log L with the gap − log L without).
    without, with_gap : ndarray of float, shape (n,)
        Out-of-fold log odds of being a patient, each model fitted on other people.
    """

    likelihood_ratio: float
    p: float
    without: Float64[ndarray, " n"]
    with_gap: Float64[ndarray, " n"]


def added_value(
    patient: Bool[ndarray, " n"],
    gap: Float64[ndarray, " n"],
    baseline: Float64[ndarray, "n k"],
    names: tuple[str, ...],
    generator: Generator,
    *,
    folds: int = 10,
) -> AddedValue:
    """Compare two logistic models of being a patient: of the baseline, and of the baseline and the gap.

    Parameters
    ----------
    patient : ndarray of bool, shape (n,)
    gap : ndarray of float, shape (n,), years
    baseline : ndarray of float, shape (n, k)
        Age, sex, brain volume …; without a column of ones.
    generator : numpy.random.Generator
        Deals people into folds, patients and controls each evenly.

    Raises
    ------
    InputError
        Fewer than 10 patients or controls, collinear columns, or groups that are separated completely.
    """
    from scipy import stats

    fewest = int(min(patient.sum(), (~patient).sum()))
    if fewest < 10:
        fix = "Bring more people."
        raise InputError("added value", f"{fewest} people in a group", "10 or more in each", fix)
    spread = np.maximum(baseline.std(axis=0), 1e-300)
    ones = np.ones((gap.size, 1))
    small = np.hstack([ones, (baseline - baseline.mean(axis=0)) / spread])
    large = np.column_stack([small, (gap - gap.mean()) / max(gap.std(), 1e-300)])
    check_design(large, ("intercept", *names, "gap"))
    ratio = max(0.0, 2 * (_logit(patient, large).llf - _logit(patient, small).llf))
    held_out = _deal(patient, folds, generator)
    scores = []
    for design in (small, large):
        score = np.empty(gap.size)
        for fold in range(folds):
            out = held_out == fold
            score[out] = design[out] @ _logit(patient[~out], design[~out]).params
        scores.append(score)
    return AddedValue(ratio, float(stats.chi2.sf(ratio, 1)), scores[0], scores[1])


def weighted_auc(
    score: Float64[ndarray, " n"], patient: Bool[ndarray, " n"], weights: Float64[ndarray, "b n"]
) -> Float64[ndarray, " b"]:
    """Return the area under the ROC curve for each row of weights; NaN where a group is absent."""
    order = np.argsort(score, kind="stable")
    _, level = np.unique(score[order], return_inverse=True)
    ends = np.flatnonzero(np.diff(level, append=level[-1] + 1))
    ordered, ill = weights[:, order], patient[order].astype(np.float64)
    healthy = np.diff((ordered * (1 - ill)).cumsum(axis=1)[:, ends], axis=1, prepend=0)
    sick = np.diff((ordered * ill).cumsum(axis=1)[:, ends], axis=1, prepend=0)
    below = healthy.cumsum(axis=1) - healthy / 2
    total = healthy.sum(axis=1) * sick.sum(axis=1)
    wins = (sick * below).sum(axis=1)
    return np.where(total > 0, wins / np.where(total > 0, total, 1), np.nan)


def random_site_difference(
    gap: Float64[ndarray, " n"],
    design: Float64[ndarray, "n p"],
    names: tuple[str, ...],
    site: Int64[ndarray, " n"],
    term: str,
    level: float = 0.95,
) -> Effect:
    """Return one coefficient of a linear model with a random intercept for each site (REML, Wald z).

    Raises
    ------
    InputError
        Fewer than 5 sites (a variance between fewer is a guess), or the model does not converge.
    """
    from scipy import stats
    from statsmodels.regression.mixed_linear_model import MixedLM

    sites = np.unique(site).size
    if sites < 5:
        fix = "With few sites the fixed effects are the right model."
        raise InputError("random effect of site", f"{sites} sites", "5 or more", fix)
    check_design(design, names)
    fitted = _converged(lambda: MixedLM(gap, design, groups=site).fit(reml=True), "random effect of site")
    i = names.index(term)
    value, error = float(fitted.fe_params[i]), float(fitted.bse_fe[i])
    reach = float(stats.norm.ppf((1 + level) / 2)) * error
    p = float(2 * stats.norm.sf(abs(value) / error))
    return Effect(value, value - reach, value + reach, np.inf, p)


def _logit(patient: Bool[ndarray, " n"], design: Float64[ndarray, "n p"]) -> Any:
    from statsmodels.discrete.discrete_model import Logit

    return _converged(
        lambda: Logit(patient.astype(np.float64), design).fit(method="newton", disp=False, maxiter=100),
        "logistic model",
    )


def _converged(fit: Any, name: str) -> Any:
    """Return what a fit gives; an InputError where the likelihood has no maximum."""
    from statsmodels.tools.sm_exceptions import ModelWarning, PerfectSeparationWarning

    found = "no maximum of the likelihood"
    fix = "The groups or levels may be separated completely, or too small: join levels or bring more people."
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        warnings.simplefilter("ignore", ModelWarning)
        warnings.simplefilter("error", PerfectSeparationWarning)
        try:
            fitted = fit()
        except (PerfectSeparationWarning, np.linalg.LinAlgError):
            raise InputError(name, found, "one", fix) from None
    done = getattr(fitted, "converged", None)
    if done is None:
        done = fitted.mle_retvals["converged"]
    errors = np.asarray(getattr(fitted, "bse_fe", fitted.bse))
    # a likelihood of categories comes near 1 only where the gap or a covariate separates them
    separated = name != "random effect of site" and fitted.llf > -1e-3
    if not done or separated or not np.isfinite(errors).all():
        raise InputError(name, found, "one", fix)
    return fitted


def _deal(patient: Bool[ndarray, " n"], folds: int, generator: Generator) -> Int64[ndarray, " n"]:
    """Return the fold of each person, patients and controls dealt evenly."""
    dealt = np.empty(patient.size, dtype=np.int64)
    for members in (np.flatnonzero(patient), np.flatnonzero(~patient)):
        dealt[generator.permutation(members)] = np.arange(members.size) % folds
    return dealt
