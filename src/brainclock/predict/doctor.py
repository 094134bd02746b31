"""Is everything in place to predict? Each check is a line: what was looked at, what was found, what to do."""

from __future__ import annotations

import importlib
import platform
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

from brainclock import __version__
from brainclock.errors import BrainclockError, ModelError

#: The golden input must give its expected age to so many years.
GOLDEN_TOLERANCE_YEARS = 0.05
#: Of the contents of the template to which brains are registered.
TEMPLATE_SHA256 = "92c92f3fd65fbd6db0876d0176eaf2e111c7e59cffdbc4efb343c9b4d707c90b"

_REQUIREMENT = re.compile(r"(?P<name>[A-Za-z0-9._-]+)\s*>=\s*(?P<least>[0-9.]+)")
_IMPORTED = ("torch", "SimpleITK", "nibabel", "scipy", "safetensors")
_REINSTALL = "Install brainclock again: pip install --force-reinstall brainclock."


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the doctor.

    Parameters
    ----------
    name : str
    ok : bool
    found : str
        What was found, in a few words.
    fix : str
        What to do if it is not ok; empty otherwise.
    """

    name: str
    ok: bool
    found: str
    fix: str = ""

    def __str__(self) -> str:
        line = f"{'ok    ' if self.ok else 'FAILED'} {self.name}: {self.found}"
        return line if self.ok else f"{line} {self.fix}".rstrip()


def examine(model: str | Path | None = None) -> Iterator[Check]:
    """Yield the checks, one after the other; what hangs on a check that failed is left out.

    Parameters
    ----------
    model : str, Path or None
        Name of a shipped model or a model folder; None is the default shipped model.
    """
    yield Check("brainclock", True, f"{__version__}, Python {platform.python_version()}")
    packages = check_packages()
    yield packages
    if not packages.ok:
        return
    extraction = _guard("brain extraction", _check_extraction)
    template = _guard("template", _check_template)
    loaded = _guard("model", lambda: _check_model(model))
    yield from (extraction, template, loaded)
    if loaded.ok:
        yield _guard("golden input", lambda: _check_golden(model))
    if extraction.ok and template.ok and loaded.ok:
        yield _guard("whole chain", lambda: _check_chain(model))


def check_packages() -> Check:
    """Check that each package that brainclock needs is there, new enough, and can be imported."""
    missing = []
    for line in requires("brainclock") or []:
        match = _REQUIREMENT.match(line)
        if match is None or "extra ==" in line:
            continue
        try:
            found = version(match["name"])
        except PackageNotFoundError:
            missing.append(f"{match['name']} is missing")
            continue
        if _numbers(found) < _numbers(match["least"]):
            missing.append(f"{match['name']} {found} is older than {match['least']}")
    for name in _IMPORTED:
        try:
            importlib.import_module(name)
        except (ImportError, OSError) as error:  # OSError: a shared library that it needs
            missing.append(f"{name} cannot be imported ({error})")
    if missing:
        return Check("packages", False, "; ".join(missing) + ".", _REINSTALL)
    versions = ", ".join(f"{name} {version(name)}" for name in _IMPORTED[:2])
    return Check("packages", True, f"all there ({versions})")


def _guard(name: str, check: Callable[[], Check]) -> Check:
    """Return a failed check where one raises; the message says what to do."""
    try:
        return check()
    except BrainclockError as error:
        return Check(name, False, str(error))


def _check_extraction() -> Check:
    from brainclock.prepare.extract import check_weights

    return Check(
        "brain extraction", True, f"weights of deepbet {version('deepbet')} as expected in {check_weights()}"
    )


def _check_template() -> Check:
    from brainclock.prepare.template import SPACE, load_template

    found = load_template().hash
    if found != TEMPLATE_SHA256:
        return Check(
            "template",
            False,
            f"its SHA-256 begins with {found[:12]}, not {TEMPLATE_SHA256[:12]}.",
            _REINSTALL,
        )
    return Check("template", True, SPACE)


def _check_model(model: str | Path | None) -> Check:
    from brainclock.predict.predict import load

    loaded = load(model)
    youngest, oldest = loaded.card.age_range
    people = sum(cohort.participants for cohort in loaded.card.cohorts)
    found = f"{loaded.card.identity}, trained on {people} people of {youngest:.0f} to {oldest:.0f} years"
    return Check("model", True, found)


def _check_golden(model: str | Path | None) -> Check:
    """Compare the age of the golden input with that which the model gave where it was made."""
    from brainclock.model.folder import golden_age
    from brainclock.predict.predict import load

    loaded = load(model)
    expected = loaded.card.golden_age
    if expected is None:
        raise ModelError(f"{loaded.folder} has no golden age: save the model again.")
    found = golden_age(loaded.model)
    ages = f"{found:.3f} years, expected {expected:.3f}"
    if not abs(found - expected) <= GOLDEN_TOLERANCE_YEARS:
        fix = "Numbers are computed otherwise here: compare the versions in model.json with yours."
        return Check("golden input", False, f"{ages}.", fix)
    return Check("golden input", True, ages)


def _check_chain(model: str | Path | None) -> Check:
    """Take a simulated head all the way; no age is right for it, but it must get one."""
    from brainclock.predict.predict import load, predict
    from brainclock.simulate.head import simulate_head

    loaded = load(model)
    answer = predict(simulate_head(1, spacing_mm=2.0), loaded)
    if answer.predicted_age is None:
        found = f"a simulated head was refused ({answer.reason})"
        return Check("whole chain", False, found, "If all else is ok, report it with this line.")
    return Check("whole chain", True, f"a simulated head (no age is right for it) gets {answer}")


def _numbers(text: str) -> tuple[int, ...]:
    """Return 2.13.0+cpu as (2, 13, 0)."""
    return tuple(int(number) for number in re.findall(r"\d+", text.split("+")[0]))
