"""What a comparison says, in words and in cells: the same on its page and in the documentation."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from brainclock.compare.jobs import BASE
from brainclock.compare.representation import MEASURES
from brainclock.compare.rivals import CONVENTIONAL, NETWORKS, RIVALS
from brainclock.compare.summarise import SEED_SD
from brainclock.compare.tables import Budget, PairedTest, Representation, Summary

_LEVEL = 0.05
_AXES = {
    "people": "people who train",
    "batch_size": "people in a step",
    "temperature": "temperature",
    "pool": "voxels averaged along each axis",
}


@dataclass(frozen=True, slots=True)
class Line:
    """One rival in one condition, ready to print; the reference has no difference."""

    rival: str
    people: str
    mae: str
    r2: str
    slope: str
    mean_error: str
    over_seeds: str
    difference: str
    d_z: str
    p: str


def conclusion(summary: Sequence[Summary], tests: Sequence[PairedTest], *, simulated: bool) -> list[str]:
    """Return what the numbers of the base condition say, whoever won."""
    means = [row for row in _of(summary, "folds", "all", BASE) if row.measure == "mae"]
    sentences = ["The people are simulated: nothing of this holds for real ones."] if simulated else []
    if not means:
        return [*sentences, "No job of the cross-validation could be done."]
    best = min(means, key=lambda row: row.value)
    sentences.append(
        f"Of {len(means)} rivals, {_words(best.rival)} erred least: "
        f"{best.value:.2f} years ({_range(best.low, best.high, 2)}) over {best.people} people."
    )
    base = [test for test in tests if (test.scheme, test.condition) == ("folds", BASE)]
    conventional = [test for test in base if test.rival in CONVENTIONAL]
    sentences += [_against(test) for test in conventional]
    if not simulated and conventional and RIVALS[conventional[0].reference].method.startswith("rnc"):
        sentences.append(_claim(conventional))
    classical = [row for row in means if RIVALS[row.rival].method not in NETWORKS]
    networks = [row for row in means if RIVALS[row.rival].method in NETWORKS]
    if classical and networks:
        plain, deep = (min(rows, key=lambda row: row.value) for rows in (classical, networks))
        sentences.append(
            f"The best without a network, {_words(plain.rival)}, erred by {plain.value:.2f} years; the best "
            f"network, {_words(deep.rival)}, by {deep.value:.2f}."
        )
    return sentences


def verdict(test: PairedTest) -> int:
    """Return −1 where the reference errs less, 1 where it errs more, 0 where neither was shown.

    Shown is what the Wilcoxon test says after Holm's correction (p < 0.05) and the interval agrees with.
    """
    if not test.p_wilcoxon_holm < _LEVEL or not test.low * test.high > 0:
        return 0
    return -1 if test.difference < 0 else 1


def _against(test: PairedTest) -> str:
    said = {-1: "a smaller error", 0: "no difference was shown", 1: "a larger error"}[verdict(test)]
    gap = f"{_number(test.difference, 2, sign=True)} years ({_range(test.low, test.high, 2, sign=True)})"
    pair = f"{_words(test.reference)} against {_words(test.rival)}"
    return f"{pair}: {gap}, p {_p(test.p_wilcoxon_holm)} after Holm's correction: {said}."


def _claim(conventional: Sequence[PairedTest]) -> str:
    """Return what becomes of the claim that the reference is better than conventional regression."""
    told = {
        said: ", ".join(_words(test.rival) for test in conventional if verdict(test) == number)
        for number, said in ((-1, "better than"), (1, "worse than"), (0, "not shown to differ from"))
    }
    parts = [f"{said} {names}" for said, names in told.items() if names]
    name = _words(conventional[0].reference)
    claim = f"that {name} is better than conventional regression with the same network and budget"
    if len(parts) > 1:
        return f"So these people support the claim {claim} in part only: it is {'; '.join(parts)}."
    if told["better than"]:
        return f"So these people support the claim {claim}."
    if told["worse than"]:
        return f"So these people contradict the claim {claim}."
    return f"So these people do not show {claim}, nor that it is worse."


def lines(
    summary: Sequence[Summary], tests: Sequence[PairedTest], scheme: str, site: str, condition: str
) -> list[Line]:
    """Return one line a rival: its measures, and the reference against it."""
    against = {
        test.rival: test
        for test in tests
        if (test.scheme, test.site, test.condition) == (scheme, site, condition)
    }
    by_rival: dict[str, dict[str, Summary]] = {}
    for row in _of(summary, scheme, site, condition):
        by_rival.setdefault(row.rival, {})[row.measure] = row
    found = []
    for rival, rows in by_rival.items():
        test = against.get(rival)
        known = test is not None and math.isfinite(test.low)
        spread = rows[SEED_SD].value
        found.append(
            Line(
                _words(rival),
                str(rows["mae"].people),
                _estimate(rows["mae"], 2),
                _estimate(rows["r2"], 2),
                _estimate(rows["slope"], 2),
                _estimate(rows["mean_error"], 1),
                f"{spread:.2f}" if math.isfinite(spread) else "",
                "" if test is None else _number(test.difference, 2, sign=True)
                + (f" ({_range(test.low, test.high, 2, sign=True)})" if known else ""),
                _number(test.d_z, 2, sign=True) if test is not None and known else "",
                _p(test.p_wilcoxon_holm) if test is not None and known else "",
            )
        )  # fmt: skip
    return found


def sites(summary: Sequence[Summary]) -> list[str]:
    """Return the sites that were left out."""
    return list(dict.fromkeys(row.site for row in summary if row.scheme == "site"))


def axes(summary: Sequence[Summary], budgets: Sequence[Budget]) -> dict[str, list[tuple[str, str]]]:
    """Return for each axis its conditions with their label, in order, the base among them."""
    names: dict[str, list[str]] = {}
    for row in summary:
        if row.condition != BASE and row.scheme == "folds":
            values = names.setdefault(row.condition.partition("=")[0], [])
            if row.condition not in values:
                values.append(row.condition)
    return {axis: _ordered(axis, conditions, budgets) for axis, conditions in names.items()}


def axis_words(axis: str) -> str:
    """Return what an axis changes."""
    return _AXES[axis]


def _ordered(axis: str, conditions: Sequence[str], budgets: Sequence[Budget]) -> list[tuple[str, str]]:
    base = [row for row in budgets if row.condition == BASE]
    values = {condition: condition.partition("=")[2] for condition in conditions}
    if axis == "people":
        values[BASE] = base[0].people.partition(" ")[0] if base else "all"
    elif axis == "pool":
        values[BASE] = "base"
    else:
        own = [getattr(row, axis) for row in base if math.isfinite(getattr(row, axis))]
        values[BASE] = f"{own[0]:g}" if own else "base"

    def place(item: tuple[str, str]) -> tuple[bool, float]:
        try:
            return False, float(item[1].partition("x")[0])
        except ValueError:
            return True, 0.0

    ordered = sorted(values.items(), key=place)
    return [
        (condition, f"{value} (base)" if condition == BASE != value else value)
        for condition, value in ordered
    ]


def representation_rows(representation: Sequence[Representation]) -> list[tuple[str, dict[str, str]]]:
    """Return for each network its measures in the base condition of the cross-validation."""
    found: dict[str, dict[str, str]] = {}
    for row in representation:
        if (row.scheme, row.condition) == ("folds", BASE):
            cell = f"{row.value:.2f} ({_range(row.low, row.high, 2)})".replace("-", "−")
            found.setdefault(method_words(row.method), {})[row.measure] = cell
    return list(found.items())


def representation_measures(representation: Sequence[Representation]) -> list[tuple[str, str]]:
    """Return the measures that are there, with their meaning."""
    there = {row.measure for row in representation}
    return [(name, meaning) for name, (_, meaning) in MEASURES.items() if name in there]


def method_words(method: str) -> str:
    """Return the name of a network, whatever reads it."""
    rival = next(rival for rival in RIVALS.values() if rival.method == method)
    return rival.words.partition(" with ")[0]


def methods(summary: Sequence[Summary], budgets: Sequence[Budget]) -> str:
    """Return how it was done, as sentences for a paper."""
    trainings = sum(row.trainings for row in budgets)
    seeds = max((row.seeds for row in summary), default=1)
    seeded = f"{seeds} {'seed' if seeds == 1 else 'seeds'}"
    return (
        f"Cross-validation by participant, folds alike in age and site; {trainings} networks were trained, "
        f"with {seeded}. All rivals had the same people, folds, seeds; all networks the same architecture, "
        "looks, poses and batches, and saw as many scans. Nothing was chosen on people who were asked: ridge "
        "penalties come from leaving out training people, and no training was stopped early. Ages are raw "
        "predictions. A person counts once, with the first scan; absolute errors were averaged over seeds "
        "and repeats before they were compared. Intervals are 95 % bootstrap intervals over people. "
        "Differences: paired, Wilcoxon's signed-rank test, Holm's correction over the rivals of one table; "
        "d_z is the mean over the standard deviation of the differences. People of one fold share their "
        "networks, which the tests take no account of; the spread over seeds is given beside."
    )


def _of(summary: Sequence[Summary], scheme: str, site: str, condition: str) -> list[Summary]:
    return [row for row in summary if (row.scheme, row.site, row.condition) == (scheme, site, condition)]


def _words(rival: str) -> str:
    return RIVALS[rival].words


def _estimate(row: Summary, digits: int) -> str:
    if not math.isfinite(row.low):
        return _number(row.value, digits)
    return f"{_number(row.value, digits)} ({_range(row.low, row.high, digits)})"


def _number(value: float, digits: int, *, sign: bool = False) -> str:
    if not math.isfinite(value):
        return "n/a"
    rounded = round(value, digits) + 0.0
    return (f"{rounded:+.{digits}f}" if sign else f"{rounded:.{digits}f}").replace("-", "−")


def _range(low: float, high: float, digits: int, *, sign: bool = False) -> str:
    return f"{_number(low, digits, sign=sign)} to {_number(high, digits, sign=sign)}"


def _p(p: float) -> str:
    if not math.isfinite(p):
        return "n/a"
    return "< 0.001" if p < 0.001 else f"{p:.3f}"
