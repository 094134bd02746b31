"""The gap against scores of severity, inside each group: pooled with controls, groups make correlations."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float64
from numpy import ndarray

from brainclock.config import derive_seed
from brainclock.errors import InputError
from brainclock.stats.bootstrap import bootstrap
from brainclock.stats.correlation import Kind, partial_correlation, rank, weighted_partial_correlation
from brainclock.stats.finding import Finding
from brainclock.stats.groups import smallest_correlation
from brainclock.stats.likelihood import MOST_LEVELS, YEARS, proportional_odds
from brainclock.stats.plan import GapPlan
from brainclock.stats.study import AGE_SQUARED, Study, Terms, make_terms

#: Beginning of a score's name (letters and digits), and the sign that its correlation with the gap should
#: have, if older-looking brains go along with worse disease.
EXPECTED_SIGN = {
    "mmse": -1,
    "moca": -1,
    "mcatot": -1,
    "cdr": 1,
    "adas": 1,
    "updrs": 1,
    "mdsupdrs": 1,
    "np3": 1,
    "hy": 1,
    "nhy": 1,
    "hoehn": 1,
    "duration": 1,
}
#: Fewer people than this have no correlation worth the name.
FEWEST = 10


@dataclass(frozen=True, slots=True, eq=False)
class SeverityScatter:
    """What the covariates leave of score and gap in one group, to draw; ranks centred at 0."""

    group: str
    score: str
    score_left: Float64[ndarray, " n"]
    gap_left: Float64[ndarray, " n"]
    finding: Finding


def severity(
    study: Study, plan: GapPlan, group: str, score: str
) -> tuple[list[Finding], SeverityScatter | None]:
    """Return partial correlations, the ordinal model and the power for one score in one group."""
    covariates = tuple(name for name in plan.covariates if name not in (AGE_SQUARED, score))
    findings: list[Finding] = []
    scatter = None
    try:
        terms = _terms(study, group, score, covariates)
    except InputError as error:
        return [Finding("severity", group, score, "partial Spearman").not_run(error)], None
    for kind in ("spearman", "pearson"):
        row = _row("severity", group, score, f"partial {kind.title()}", terms, _expectation(score))
        try:
            found = partial_correlation(
                study.gap[terms.rows],
                study.numbers[score][terms.rows],
                terms.matrix,
                terms.names,
                kind=kind,
                level=plan.level,
            )
        except InputError as error:
            findings.append(row.not_run(error))
            continue
        findings.append(row.with_effect(found.effect, "partial r"))
        findings.append(_bootstrapped(study, plan, terms, row, kind, score))
        if kind == "spearman":
            scatter = SeverityScatter(group, score, found.y, found.x, findings[-2])
    findings += _ordinal(study, plan, terms, group, score)
    smallest = smallest_correlation(terms.n, len(terms.names))
    power = _row("power", group, score, "Fisher z, α 0.05, power 0.8", terms, "")
    findings.append(replace(power, measure="smallest partial |r|", value=smallest))
    return findings, scatter


def severity_beyond_volume(study: Study, plan: GapPlan, group: str, score: str) -> list[Finding]:
    """Return the partial Spearman correlation with brain volumes held fixed as well."""
    if not plan.volumes:
        return []
    row = Finding("added_value", group, score, "partial Spearman")
    try:
        terms = _terms(study, group, score, study.having("age", "sex", *plan.volumes))
        found = partial_correlation(
            study.gap[terms.rows],
            study.numbers[score][terms.rows],
            terms.matrix,
            terms.names,
            level=plan.level,
        )
    except InputError as error:
        return [row.not_run(error)]
    described = _row("added_value", group, score, row.method, terms, _expectation(score))
    return [described.with_effect(found.effect, "partial r")]


def _terms(study: Study, group: str, score: str, covariates: tuple[str, ...]) -> Terms:
    terms = make_terms(study, study.members(group), covariates, needed=[score])
    if terms.n < FEWEST:
        found = f"{terms.n} people of {group} with {score} and all covariates"
        fix = "Bring more people, or leave out what few people have."
        raise InputError("severity", found, f"{FEWEST} or more", fix)
    return terms


def _bootstrapped(study: Study, plan: GapPlan, terms: Terms, row: Finding, kind: Kind, score: str) -> Finding:
    columns = [study.gap[terms.rows], study.numbers[score][terms.rows], terms.matrix]
    values = np.column_stack(columns)
    values = rank(values) if kind == "spearman" else values

    def statistic(weights: Float64[ndarray, "b n"]) -> dict[str, Float64[ndarray, " b"]]:
        return {"r": weighted_partial_correlation(values[:, 0], values[:, 1], values[:, 2:], weights)}

    generator = np.random.default_rng(derive_seed(plan.seed, "gap", "severity", row.group, score, kind))
    people = np.arange(terms.n)
    found = bootstrap(statistic, people, generator, resamples=plan.resamples, level=plan.level)["r"]
    return replace(row, method=f"{row.method}, bootstrap").with_estimate(found, "partial r")


def _ordinal(study: Study, plan: GapPlan, terms: Terms, group: str, score: str) -> list[Finding]:
    """Return the ordinal model for a score of few levels; nothing for any other."""
    values = study.numbers[score][terms.rows]
    if np.unique(values).size > MOST_LEVELS:
        return []
    row = _row("severity", group, score, "proportional odds, Wald", terms, "above 1: higher with the gap")
    try:
        gap = study.gap[terms.rows]
        effect = proportional_odds(values, gap, terms.matrix, terms.names, plan.level)
    except InputError as error:
        return [row.not_run(error)]
    return [row.with_effect(effect, f"odds ratio per {YEARS:g} years")]


def _row(analysis: str, group: str, score: str, method: str, terms: Terms, note: str) -> Finding:
    return Finding(analysis, group, score, method, ", ".join(terms.used), terms.n, note=note)


def _expectation(score: str) -> str:
    name = re.sub(r"[^a-z0-9]", "", score.casefold())
    sign = next((sign for start, sign in EXPECTED_SIGN.items() if name.startswith(start)), None)
    return "" if sign is None else f"expected {'above' if sign > 0 else 'below'} 0"
