"""The analysis of the brain age gap in a study: every question, every answer, and what could not be asked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float64
from numpy import ndarray

from brainclock.errors import InputError
from brainclock.stats.age_bias import AgeBiasCorrection, cross_fitted_gap, fit_age_bias
from brainclock.stats.finding import ANALYSES, Finding, with_false_discovery_rates
from brainclock.stats.gap_groups import (
    detectable_difference,
    group_differences,
    sensitivity,
    sex_interaction,
    site_offsets,
    value_beyond_volume,
)
from brainclock.stats.gap_severity import SeverityScatter, severity, severity_beyond_volume
from brainclock.stats.plan import GapPlan
from brainclock.stats.study import UNKNOWN, Study


@dataclass(frozen=True, slots=True, eq=False)
class GapAnalysis:
    """Everything that was asked of a study and answered, or not.

    Parameters
    ----------
    study : Study
    plan : GapPlan
    groups : tuple of str
        Controls first, then the others by size.
    findings : tuple of Finding
        In the order of ``ANALYSES``; with q over all of them.
    missing : mapping of str to mapping of str to int
        For each variable, how many people of each group lack it.
    correction : AgeBiasCorrection or None
        Line of the controls, None where they are too few.
    corrected_gap : ndarray of float, shape (n,), years
        Each control by the line of the others; NaN without a correction.
    outside : ndarray of bool, shape (n,)
        Ages that the line had to be drawn out to.
    scatters : tuple of SeverityScatter
    notes : tuple of str
        What the reader must know first.
    """

    study: Study
    plan: GapPlan
    groups: tuple[str, ...]
    findings: tuple[Finding, ...]
    missing: dict[str, dict[str, int]]
    correction: AgeBiasCorrection | None
    corrected_gap: Float64[ndarray, " n"]
    outside: Bool[ndarray, " n"]
    scatters: tuple[SeverityScatter, ...]
    notes: tuple[str, ...]


def analyse_gap(study: Study, plan: GapPlan) -> GapAnalysis:
    """Ask everything; a question that cannot be answered has its reason, and the others go on.

    Covariates that the study does not have are left out, and a note says so.

    Raises
    ------
    InputError
        Nobody has a known group.

    Examples
    --------
    >>> read = brainclock.read_study("predictions.tsv", "participants.tsv", variables=["mmse", "sex"])
    >>> plan = brainclock.GapPlan(severity=("mmse",), covariates=("age", "sex"), resamples=200)
    >>> analysis = brainclock.analyse_gap(read.study, plan)
    >>> difference = next(f for f in analysis.findings if f.measure == "difference (years)")
    >>> difference.group, difference.low < difference.value < difference.high
    ('AD − HC', True)
    """
    sizes = Counter(group for group in study.group if group != UNKNOWN)
    if not sizes:
        fix = "Give a column of groups; --group names it."
        raise InputError("study", "nobody with a known group", "groups such as HC and AD", fix)
    lacking = [name for name in plan.covariates if not study.having(name)]
    plan = replace(plan, covariates=study.having(*plan.covariates))
    patients = [g for g, _ in sorted(sizes.items(), key=lambda c: (-c[1], c[0])) if g != plan.controls]
    parts: list[list[Finding]] = []
    scatters: list[SeverityScatter] = []
    if sizes[plan.controls]:
        parts.append(group_differences(study, plan, patients))
    else:
        parts.append([_no_controls(plan, sizes)])
    for group in patients:
        for score in plan.severity:
            found, scatter = severity(study, plan, group, score)
            parts.append(found)
            scatters += [] if scatter is None else [scatter]
            parts.append(severity_beyond_volume(study, plan, group, score))
        if sizes[plan.controls]:
            parts.append(value_beyond_volume(study, plan, group))
            parts.append([sex_interaction(study, plan, group), detectable_difference(study, plan, group)])
            parts.append(sensitivity(study, plan, group))
    parts.append(site_offsets(study, plan))
    findings = with_false_discovery_rates(_ordered([f for part in parts for f in part]))
    correction, corrected, outside = _correct(study, plan)
    notes = [f"{name} is not in the tables: it is no covariate." for name in lacking]
    notes += _notes(study, plan, findings, correction, outside)
    return GapAnalysis(
        study,
        plan,
        (*([plan.controls] if sizes[plan.controls] else []), *patients),
        findings,
        _missing(study, plan),
        correction,
        corrected,
        outside,
        tuple(scatters),
        tuple(notes),
    )


def _no_controls(plan: GapPlan, sizes: Counter[str]) -> Finding:
    found = f"no group {plan.controls} among {', '.join(sorted(sizes))}"
    fix = "Name the healthy group with --controls; nothing else is compared with anybody."
    error = InputError("controls", found, "healthy people of the same study", fix)
    return Finding("group_difference", f"all − {plan.controls}", "brain_age_gap", "OLS, HC3").not_run(error)


def _ordered(findings: Sequence[Finding]) -> list[Finding]:
    order = list(ANALYSES)
    return sorted(findings, key=lambda finding: order.index(finding.analysis))


def _correct(
    study: Study, plan: GapPlan
) -> tuple[AgeBiasCorrection | None, Float64[ndarray, " n"], Bool[ndarray, " n"]]:
    control = study.members(plan.controls)
    try:
        line = fit_age_bias(study.predicted_age[control], study.age[control])
    except InputError:
        nothing = np.full(study.age.size, np.nan)
        return None, nothing, np.zeros(study.age.size, dtype=bool)
    gap = cross_fitted_gap(study.predicted_age, study.age, control)
    return line, gap, line.correct(study.predicted_age, study.age).outside


def _missing(study: Study, plan: GapPlan) -> dict[str, dict[str, int]]:
    names = dict.fromkeys([*plan.covariates, *plan.severity, *plan.volumes])
    groups = sorted(set(study.group))
    return {
        name: {group: int((study.members(group) & ~study.known(name)).sum()) for group in groups}
        for name in names
        if name in study.numbers or name in study.categories
    }


def _notes(
    study: Study,
    plan: GapPlan,
    findings: Sequence[Finding],
    correction: AgeBiasCorrection | None,
    outside: Bool[ndarray, " n"],
) -> list[str]:
    notes = []
    left_out = sum(not finding.run for finding in findings)
    if left_out:
        notes.append(f"{left_out} of {len(findings)} parts could not be run; each says why.")
    if (unknown := sum(group == UNKNOWN for group in study.group)) > 0:
        notes.append(f"{unknown} people without a known group are in no part of the analysis.")
    if correction is None:
        notes.append("There are too few controls of different ages for an age-bias correction.")
    elif outside.any():
        low, high = correction.age_range
        notes.append(
            f"{int(outside.sum())} people are younger than {low:.0f} or older than {high:.0f} years, the "
            "ages of the controls: their corrected gaps are extrapolated."
        )
    if not plan.volumes:
        notes.append(
            "No brain volume was given. Whether the gap says more than atrophy is open: name volumes."
        )
    if "age" not in plan.covariates:
        notes.append(
            "Age is not among the covariates: the gap depends on age by itself, so groups of different "
            "ages differ by age bias alone."
        )
    return notes
