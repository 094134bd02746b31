"""Groups of a study compared by their gaps: each function returns rows, run or not run with the reason."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float64
from numpy import ndarray

from brainclock.config import derive_seed
from brainclock.errors import InputError
from brainclock.stats.age_bias import cross_fitted_gap
from brainclock.stats.bootstrap import Estimate, bootstrap
from brainclock.stats.finding import Finding
from brainclock.stats.groups import FEWEST, adjusted_g, mann_whitney, smallest_difference
from brainclock.stats.likelihood import added_value, random_site_difference, weighted_auc
from brainclock.stats.linear import Effect, LinearFit, fit_linear, residualise
from brainclock.stats.plan import GapPlan
from brainclock.stats.study import AGE_SQUARED, Study, Terms, make_terms

_OLS = "OLS, HC3"
_YEARS = "difference (years)"
#: A site with fewer controls than this has no offset worth the name.
FEWEST_CONTROLS = 5


def group_differences(study: Study, plan: GapPlan, patients: Sequence[str]) -> list[Finding]:
    """Return differences from the controls and adjusted means: gap ~ group + covariates, all groups at once.

    A group with too few complete people is left out of the model of the others.
    """
    everybody = make_terms(study, study.members(plan.controls, *patients), plan.covariates).rows
    together = [g for g in patients if (study.members(g) & everybody).sum() >= FEWEST]
    findings = []
    for group in patients:
        row = Finding("group_difference", _against(group, plan), "brain_age_gap", _OLS)
        try:
            pair = make_terms(study, study.members(plan.controls, group), plan.covariates)
            _enough(study, pair, plan.controls, group)
            fit, terms = _fit_groups(study, study.gap, plan.controls, together, plan.covariates)
            effect = fit.effect(f"group={group}", plan.level)
            findings.append(
                _described(row, terms, _sizes(study, plan, terms, group)).with_effect(effect, _YEARS)
            )
            findings += _effect_sizes(study, plan, pair, group)
        except InputError as error:
            findings.append(row.not_run(error))
    return findings + _adjusted_means(study, plan, [plan.controls, *together])


def _sizes(study: Study, plan: GapPlan, terms: Terms, group: str) -> str:
    own, controls = (int((study.members(g) & terms.rows).sum()) for g in (group, plan.controls))
    alone = f"; {terms.alone} alone in their level of a covariate left out" if terms.alone else ""
    return f"{own} {group}, {controls} {plan.controls}{alone}"


def _fit_groups(
    study: Study,
    gap: Float64[ndarray, " people"],
    controls: str,
    groups: Sequence[str],
    covariates: Sequence[str],
) -> tuple[LinearFit, Terms]:
    among = study.members(controls, *groups) & np.isfinite(gap)
    terms = make_terms(study, among, covariates)
    _enough(study, terms, controls, *groups)
    dummies = [study.members(group)[terms.rows].astype(np.float64) for group in groups]
    design = np.column_stack([np.ones(terms.n), *dummies, terms.matrix])
    names = ("intercept", *(f"group={group}" for group in groups), *terms.names)
    return fit_linear(gap[terms.rows], design, names), terms


def _effect_sizes(study: Study, plan: GapPlan, terms: Terms, group: str) -> list[Finding]:
    """Return g with its bootstrap interval, and the rank test on gaps adjusted for the covariates."""
    patient, gap = study.members(group)[terms.rows], study.gap[terms.rows]
    generator = np.random.default_rng(derive_seed(plan.seed, "gap", "g", group))
    statistic = adjusted_g(gap, patient, terms.matrix)
    g = bootstrap(statistic, np.arange(terms.n), generator, resamples=plan.resamples, level=plan.level)["g"]
    left = residualise(gap, np.column_stack([np.ones(terms.n), terms.matrix]))
    ranks = mann_whitney(left[patient], left[~patient], plan.level)
    row = Finding("group_difference", _against(group, plan), "brain_age_gap", "")
    by_size = replace(row, method="adjusted difference / residual SD, bootstrap")
    by_rank = replace(row, method="Mann–Whitney on gaps adjusted for covariates")
    return [
        _described(by_size, terms, "").with_estimate(g, "Hedges' g"),
        _described(by_rank, terms, "").with_effect(ranks, f"P({group} > {plan.controls})"),
    ]


def _adjusted_means(study: Study, plan: GapPlan, groups: Sequence[str]) -> list[Finding]:
    """Return the mean gap of each group at the mean of the covariates over all people in the model."""
    row = Finding("adjusted_mean", ", ".join(groups), "brain_age_gap", _OLS)
    try:
        fit, terms = _fit_groups(study, study.gap, groups[0], groups[1:], plan.covariates)
    except InputError as error:
        return [row.not_run(error)]
    findings = []
    for i, group in enumerate(groups):
        weights = np.concatenate([[1.0], np.zeros(len(groups) - 1), terms.matrix.mean(axis=0)])
        if i:
            weights[i] = 1.0
        mean = fit.contrast(weights, plan.level)
        own = Finding("adjusted_mean", group, "brain_age_gap", _OLS)
        number = int((study.members(group) & terms.rows).sum())
        described = _described(own, terms, f"{number} {group}")
        findings.append(
            described.with_estimate(Estimate(mean.value, mean.low, mean.high), "adjusted mean (years)")
        )
    return findings


def sex_interaction(study: Study, plan: GapPlan, group: str) -> Finding:
    """Return how much the difference of men exceeds that of women: the term group × sex."""
    row = Finding("sex_interaction", _against(group, plan), "brain_age_gap", _OLS)
    try:
        covariates = [name for name in plan.covariates if name != "sex"]
        if "sex" not in study.categories:
            raise InputError("study", "no sex", "a column sex", "Give it in the table of people.")
        among = study.members(plan.controls, group)
        terms = make_terms(study, among, covariates, needed=["sex"])
        _enough(study, terms, plan.controls, group)
        male = (np.array(study.categories["sex"])[terms.rows] == "M").astype(np.float64)
        patient = study.members(group)[terms.rows].astype(np.float64)
        for sex in (male, 1 - male):
            cells = int((sex * patient).sum()), int((sex * (1 - patient)).sum())
            if min(cells) < FEWEST:
                fix = "Bring more people of that sex."
                raise InputError("sex × group", f"{min(cells)} people", f"{FEWEST} or more in each cell", fix)
        design = np.column_stack([np.ones(terms.n), patient, male, patient * male, terms.matrix])
        names = ("intercept", "group", "sex=M", "group × sex=M", *terms.names)
        effect = fit_linear(study.gap[terms.rows], design, names).effect("group × sex=M", plan.level)
    except InputError as error:
        return row.not_run(error)
    described = _described(row, terms, "above 0: larger in men")
    return described.with_effect(effect, "difference of differences (years)")


def value_beyond_volume(study: Study, plan: GapPlan, group: str) -> list[Finding]:
    """Return what the gap adds to age, sex and brain volume in telling a group from the controls."""
    row = Finding("added_value", _against(group, plan), "being a patient", "likelihood ratio, logistic")
    note = "" if plan.volumes else "no volume was given: name brain and ventricle volumes with --volumes"
    try:
        among = study.members(plan.controls, group)
        terms = make_terms(study, among, study.having("age", "sex", *plan.volumes))
        patient, gap = study.members(group)[terms.rows], study.gap[terms.rows]
        generator = np.random.default_rng(derive_seed(plan.seed, "gap", "folds", group))
        found = added_value(patient, gap, terms.matrix, terms.names, generator)
    except InputError as error:
        return [row.not_run(error)]

    def statistic(weights: Float64[ndarray, "b n"]) -> dict[str, Float64[ndarray, " b"]]:
        without, with_gap = (
            weighted_auc(score, patient, weights) for score in (found.without, found.with_gap)
        )
        return {"without": without, "with": with_gap, "gain": with_gap - without}

    draws = np.random.default_rng(derive_seed(plan.seed, "gap", "auc", group))
    areas = bootstrap(statistic, np.arange(terms.n), draws, resamples=plan.resamples, level=plan.level)
    ratio = Effect(found.likelihood_ratio, np.nan, np.nan, 1.0, found.p)
    measures = {
        "without": "AUC without the gap",
        "with": "AUC with the gap",
        "gain": "AUC gained by the gap",
    }
    method = "logistic, people left out (10 folds), bootstrap"
    auc = Finding("added_value", row.group, row.outcome, method)
    return [
        _described(row, terms, note).with_effect(ratio, "χ²"),
        *(
            _described(auc, terms, note).with_estimate(areas[name], measure)
            for name, measure in measures.items()
        ),
    ]


def sensitivity(study: Study, plan: GapPlan, group: str) -> list[Finding]:
    """Return the difference under each correction and each set of covariates, and other ways with sites."""
    control = study.members(plan.controls)
    full = tuple(plan.covariates)
    sets = dict.fromkeys([(), ("age",), ("age", AGE_SQUARED), ("age", "sex"), full])
    findings = []
    corrections: tuple[Literal["raw", "de_lange", "cole"], ...] = ("raw", "de_lange", "cole")
    for correction in corrections:
        for covariates in sets:
            row = Finding("sensitivity", _against(group, plan), f"gap, {correction}", _OLS)
            try:
                gap = study.gap
                if correction != "raw":
                    gap = cross_fitted_gap(study.predicted_age, study.age, control, correction)
                fit, terms = _fit_groups(study, gap, plan.controls, [group], covariates)
            except InputError as error:
                findings.append(row.not_run(error))
                continue
            note = "not adjusted for age: age bias is in it" if correction == "raw" and not covariates else ""
            effect = fit.effect(f"group={group}", plan.level)
            findings.append(_described(row, terms, note).with_effect(effect, _YEARS))
    return [*findings, *_other_ways_with_sites(study, plan, group)]


def _other_ways_with_sites(study: Study, plan: GapPlan, group: str) -> list[Finding]:
    if len(set(study.categories.get("site", ()))) < 2:
        return []
    rest = [name for name in plan.covariates if name != "site"]
    row = Finding("sensitivity", _against(group, plan), "gap, site offsets of controls removed", _OLS)
    findings = []
    try:
        offsets = {f.group: f.value for f in site_offsets(study, plan) if f.run}
        gap = study.gap - np.array([offsets.get(s, np.nan) for s in study.categories["site"]])
        fit, terms = _fit_groups(study, gap, plan.controls, [group], rest)
        effect = fit.effect(f"group={group}", plan.level)
        note = "people of sites without an offset are left out; the offsets' own error is not in the interval"
        findings.append(_described(row, terms, note).with_effect(effect, _YEARS))
    except InputError as error:
        findings.append(row.not_run(error))
    row = Finding("sensitivity", row.group, "gap, raw", "mixed model, random site, REML")
    try:
        terms = make_terms(study, study.members(plan.controls, group), rest, needed=["site"])
        _enough(study, terms, plan.controls, group)
        _, site = np.unique(np.array(study.categories["site"])[terms.rows], return_inverse=True)
        patient = study.members(group)[terms.rows].astype(np.float64)
        design = np.column_stack([np.ones(terms.n), patient, terms.matrix])
        names = ("intercept", "group", *terms.names)
        effect = random_site_difference(
            study.gap[terms.rows], design, names, site.astype(np.int64), "group", plan.level
        )
        findings.append(_described(row, terms, "").with_effect(effect, _YEARS))
    except InputError as error:
        findings.append(row.not_run(error))
    return findings


def site_offsets(study: Study, plan: GapPlan) -> list[Finding]:
    """Return how far the controls of each site lie from the mean of sites: gap ~ age + site, no patients."""
    sites = study.categories.get("site", ())
    control = study.members(plan.controls) & np.isfinite(study.gap)
    names = sorted(set(sites) - {"n/a"})
    if len(names) < 2:
        return []
    of_site = {name: control & np.array([s == name for s in sites], dtype=bool) for name in names}
    usable = {name: rows for name, rows in of_site.items() if rows.sum() >= FEWEST_CONTROLS}
    findings = []
    fit = None
    rows: Bool[ndarray, " people"] = np.zeros_like(control)
    if len(usable) > 1:
        rows = np.logical_or.reduce(list(usable.values()))
        age = study.age[rows] - study.age[rows].mean()
        design = np.column_stack([*(own[rows].astype(np.float64) for own in usable.values()), age])
        try:
            fit = fit_linear(study.gap[rows], design, (*usable, "age"))
        except InputError as error:
            return [Finding("site_offset", "all", "brain_age_gap", _OLS).not_run(error)]
    for name in names:
        row = Finding("site_offset", name, "brain_age_gap", _OLS, "age", int(of_site[name].sum()))
        if fit is None or name not in usable:
            found = f"{row.n} controls at {name}"
            fix = "Site is a covariate all the same."
            expected = f"{FEWEST_CONTROLS} or more, at two sites"
            findings.append(row.not_run(InputError("site offset", found, expected, fix)))
            continue
        weights = np.array([(own == name) - 1 / len(usable) for own in usable] + [0.0])
        findings.append(row.with_effect(fit.contrast(weights, plan.level), "offset (years)"))
    return findings


def detectable_difference(study: Study, plan: GapPlan, group: str) -> Finding:
    """Return the smallest difference, in years, that this many people would show in 4 of 5 studies."""
    row = Finding("power", _against(group, plan), "brain_age_gap", "two-sided t test, α 0.05, power 0.8")
    try:
        fit, terms = _fit_groups(study, study.gap, plan.controls, [group], plan.covariates)
        patient = study.members(group)[terms.rows]
        smallest = smallest_difference(int(patient.sum()), int((~patient).sum())) * fit.residual_sd
    except InputError as error:
        return row.not_run(error)
    found = Estimate(smallest, np.nan, np.nan)
    return _described(row, terms, "").with_estimate(found, "smallest difference (years)")


def _against(group: str, plan: GapPlan) -> str:
    return f"{group} − {plan.controls}"


def _described(row: Finding, terms: Terms, note: str) -> Finding:
    return replace(row, covariates=", ".join(terms.used), n=terms.n, note=note)


def _enough(study: Study, terms: Terms, *groups: str) -> None:
    for group in groups:
        number = int((study.members(group) & terms.rows).sum())
        if number < FEWEST:
            found = f"{number} people of {group} with complete data"
            fix = "Bring more people, leave the group out, or leave out what few people have."
            raise InputError("comparison of groups", found, f"{FEWEST} or more", fix)
