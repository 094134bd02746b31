"""The analysis of the gap in sentences for a paper, to be checked and pasted."""

from __future__ import annotations

import math

from brainclock import __version__
from brainclock.stats.finding import Finding
from brainclock.stats.gap import GapAnalysis


def methods(analysis: GapAnalysis) -> str:
    """Return how the numbers were computed."""
    plan, percent = analysis.plan, f"{100 * analysis.plan.level:g} %"
    run = sum(math.isfinite(finding.p) for finding in analysis.findings)
    volumes = f", {' and '.join(plan.volumes)}" if plan.volumes else ""
    covariates = ", ".join(plan.covariates) or "nothing"
    return (
        f"The brain age gap (predicted − chronological age) was analysed with brainclock {__version__}, one "
        "entry a person. Predictions were not corrected for age; age was a covariate instead (Le et al. "
        "2018, doi:10.3389/fnagi.2018.00317), which gives the same test as a linear correction (Smith et al. "
        f"2019, doi:10.1016/j.neuroimage.2019.06.017). Groups were compared with {plan.controls} by linear "
        f"regression of the gap on group, {covariates}, with HC3 errors (MacKinnon and White 1985) and "
        f"{percent} t intervals; Hedges' g is the adjusted difference over the residual standard deviation "
        f"with a percentile bootstrap interval ({plan.resamples} resamples of people, seed {plan.seed}); a "
        "Mann–Whitney test on adjusted gaps is the robust counterpart. Severity was related to the gap "
        "within each patient group by partial Spearman (primary) and Pearson correlation, degrees of freedom "
        "n − 2 − k for k covariate terms, and scores of few levels by a proportional-odds model. What the "
        f"gap adds to age, sex{volumes} was tested by a likelihood-ratio test of nested logistic models and "
        "the area under the ROC curve on people left out of the fit. Missing data were left out analysis by "
        f"analysis and counted. q-values are Benjamini and Hochberg's over all {run} tests that were run; "
        "all of them are listed. Accuracy was not computed from corrected ages (Butler et al. 2021, "
        "doi:10.1002/hbm.25533)."
    )


def results(analysis: GapAnalysis) -> str:
    """Return what was found, in the words of association."""
    sentences = [_counts(analysis)]
    primary = {"OLS, HC3": _difference, "partial Spearman": _severity}
    for finding in analysis.findings:
        if finding.analysis not in ("group_difference", "severity", "added_value"):
            continue
        if not finding.run:
            if finding.method == "likelihood ratio, logistic":  # always answered, if only by a reason
                sentences.append(_not_added(finding))
            continue
        if finding.analysis == "added_value":
            if finding.measure == "χ²":
                sentences.append(_added(analysis, finding))
        elif finding.method in primary:
            sentences.append(primary[finding.method](finding))
    left_out = sum(not finding.run for finding in analysis.findings)
    if left_out:
        sentences.append(f"{left_out} parts of the analysis could not be run and are listed with the reason.")
    sentences.append(
        "These are associations in one sample: they show neither cause nor change within people, depend on "
        "who was recruited and scanned where, and say nothing about a single person."
    )
    return " ".join(sentences)


def _counts(analysis: GapAnalysis) -> str:
    sizes = [f"{int(analysis.study.members(group).sum())} {group}" for group in analysis.groups]
    return f"The analysis has {', '.join(sizes)}."


def _difference(finding: Finding) -> str:
    return (
        f"At equal {finding.covariates or 'nothing else'}, the gap differed by "
        f"{number_words(finding.value)} years ({finding.group}; {interval_words(finding)}, "
        f"p {p_sentence(finding.p)}, q {p_sentence(finding.q)}; {finding.note})."
    )


def _severity(finding: Finding) -> str:
    expected = f"; {finding.note}" if finding.note else ""
    return (
        f"Within {finding.group} (n = {finding.n}), {finding.outcome} and gap had a partial Spearman "
        f"correlation of {number_words(finding.value)} ({interval_words(finding)}, "
        f"p {p_sentence(finding.p)}, q {p_sentence(finding.q)}{expected}), given "
        f"{finding.covariates or 'nothing'}."
    )


def _added(analysis: GapAnalysis, finding: Finding) -> str:
    areas = {
        other.measure: other
        for other in analysis.findings
        if (other.analysis, other.group) == (finding.analysis, finding.group)
    }
    without, with_gap, gain = (
        areas[f"AUC {words}"] for words in ("without the gap", "with the gap", "gained by the gap")
    )
    return (
        f"Beyond {finding.covariates}, the gap changed the AUC for {finding.group} on people left out from "
        f"{number_words(without.value)} to {number_words(with_gap.value)} (change "
        f"{number_words(gain.value)}, {interval_words(gain)}; likelihood ratio χ² = "
        f"{number_words(finding.value)}, p {p_sentence(finding.p)})."
    )


def _not_added(finding: Finding) -> str:
    return (
        f"Whether the gap says more than age, sex and brain volume could not be tested for {finding.group}: "
        f"{finding.note.rstrip('.')}."
    )


def number_words(value: float) -> str:
    """Return a number to two decimals, with a minus sign; n/a for none."""
    return f"{value:.2f}".replace("-", "−") if math.isfinite(value) else "n/a"


def interval_words(finding: Finding) -> str:
    """Return ``low to high``, or n/a."""
    if not (math.isfinite(finding.low) and math.isfinite(finding.high)):
        return "n/a"
    return f"{number_words(finding.low)} to {number_words(finding.high)}"


def p_words(p: float) -> str:
    """Return a p-value for a table: three decimals, ``< 0.001`` below that, n/a for none."""
    if not math.isfinite(p):
        return "n/a"
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def p_sentence(p: float) -> str:
    """Return a p-value for a sentence: ``= 0.012``, ``< 0.001``."""
    words = p_words(p)
    return words if words.startswith("<") else f"= {words}"
