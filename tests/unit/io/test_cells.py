"""Cells about people: never a guess."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brainclock.errors import InputError
from brainclock.io.cells import Age, is_healthy, parse_age, parse_sex, participant_label, session_label


@given(st.floats(0, 125, allow_nan=False))
def test_any_age_is_read_exactly(years: float) -> None:
    assert parse_age(f"{years:.17f}", where="x") == Age(float(f"{years:.17f}"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("63", Age(63.0)),
        (" 63.50 ", Age(63.5)),
        (".5", Age(0.5)),
        ("89+", Age(89.0, censored=True)),
        ("89 +", Age(89.0, censored=True)),
        *((cell, None) for cell in ("n/a", "", "N/A", "NA", "nan", "NaN", " ", "None")),
    ],
)
def test_ages(text: str, expected: Age | None) -> None:
    assert parse_age(text, where="x") == expected


@pytest.mark.parametrize(
    ("text", "units", "years"),
    [("120", "months", 10), ("120+", "Month", 10), ("520", "weeks", 520 * 7 / 365.25), ("365.25", "days", 1)]
    + [("7", units, 7) for units in ("years", "year", "Years", "yr", "y", "a")],
)
def test_declared_units(text: str, units: str, years: float) -> None:
    age = parse_age(text, where="x", units=units)
    assert age is not None
    assert age.years == pytest.approx(years, rel=1e-12)
    assert age.censored == text.endswith("+")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("26,9", r"t\.tsv:2, column age: found '26,9', expected an age in years .* decimal point: 26\.9\."),
        ("26,9+", "Write a decimal point"),
        ("-1", "from 0 to 125 years"),
        ("999", r"from 0 to 125 years\. .*declare months as Units"),
        ("126", "from 0 to 125 years"),
        ("65-70", "Write n/a if it is unknown"),
        ("035Y", "Write n/a if it is unknown"),
        ("old", "Write n/a if it is unknown"),
        ("1e2", "Write n/a if it is unknown"),
        ("+", "Write n/a if it is unknown"),
        ("inf", "Write n/a if it is unknown"),
        ("٦٣", "Write n/a if it is unknown"),
    ],
)
def test_doubtful_ages_are_refused_with_their_place(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        parse_age(text, where="t.tsv:2, column age")


def test_an_unknown_unit() -> None:
    with pytest.raises(InputError, match="found ages in 'decades', expected years, months, weeks or days"):
        parse_age("3", where="x", units="decades")


@pytest.mark.parametrize(
    ("text", "expected"),
    [(cell, "M") for cell in ("m", "M", "male", "MALE", "Male ")]
    + [(cell, "F") for cell in ("f", "F", "female", "FEMALE")]
    + [(cell, "n/a") for cell in ("n/a", "", "other", "O")]
    + [(cell, None) for cell in ("1", "2", "w", "man")],
)
def test_sex(text: str, expected: str | None) -> None:
    assert parse_sex(text, {}) == expected


def test_sex_as_declared() -> None:
    levels = {"1": "male", "2": "Female", "F": "M"}
    assert [parse_sex(cell, levels) for cell in ("1", "2", "F", "3")] == ["M", "F", "M", None]


@pytest.mark.parametrize("text", ["sub-A01", "A01", "SUB-A01", " A-0_1 "])
def test_labels(text: str) -> None:
    assert participant_label(text, where="x") == "sub-A01"


def test_sessions_and_names_without_letters() -> None:
    assert session_label("1", where="x") == session_label("ses-1", where="x") == "ses-1"
    assert session_label("n/a", where="x") is None
    with pytest.raises(InputError, match="letters and digits, as in sub-01"):
        participant_label("sub-", where="x")


@pytest.mark.parametrize(
    "group",
    ["HC", "hc", "Control", "controls", "CN", "healthy", "Healthy Controls", "healthy_volunteer", None],
)
def test_who_is_healthy(group: str | None) -> None:
    assert is_healthy(group)


@pytest.mark.parametrize(
    "group", ["AD", "MCI", "PD", "patient", "n/a", "", "HC/MCI", "unhealthy", "HC converter", "1", "depr"]
)
def test_who_is_not_known_to_be(group: str) -> None:
    assert not is_healthy(group)
