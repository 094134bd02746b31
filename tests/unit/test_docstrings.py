"""The examples in docstrings run, on simulated heads, and say the truth."""

from __future__ import annotations

import doctest
import importlib
import inspect
import re
from pathlib import Path

import pytest

import brainclock

SOURCE = Path(brainclock.__file__).parent
#: Their ages are those of the model that comes with the package; all else takes a tiny one in its place.
WITH_THE_SHIPPED_MODEL = ("brainclock.predict.predict",)
#: What a predicted age may differ by on another processor, years.
TOLERANCE = 0.3
_DECIMAL = re.compile(r"(?<![\w.])-?\d+\.\d+(?![\w.])")


class NearNumbers(doctest.OutputChecker):
    """Takes decimal numbers that are near for equal."""

    def check_output(self, want: str, got: str, optionflags: int) -> bool:
        expected, found = ([float(n) for n in _DECIMAL.findall(text)] for text in (want, got))
        if len(expected) == len(found) and all(
            abs(a - b) <= TOLERANCE for a, b in zip(expected, found, strict=True)
        ):
            want, got = (_DECIMAL.sub("#", text) for text in (want, got))
        return super().check_output(want, got, optionflags)


def modules() -> list[str]:
    """Every module with an example in it."""
    found = []
    for path in sorted(SOURCE.rglob("*.py")):
        if ">>> " in path.read_text(encoding="utf-8"):
            parts = path.relative_to(SOURCE.parent).with_suffix("").parts
            found.append(".".join(parts[:-1] if parts[-1] == "__init__" else parts))
    return found


@pytest.mark.parametrize("name", modules())
def test_examples_run(name: str, study: Path, request: pytest.FixtureRequest) -> None:
    if name not in WITH_THE_SHIPPED_MODEL:
        request.getfixturevalue("tiny_default")
    module = importlib.import_module(name)
    runner = doctest.DocTestRunner(NearNumbers(), optionflags=doctest.ELLIPSIS)
    tests = [test for test in doctest.DocTestFinder().find(module, name) if test.examples]
    said: list[str] = []
    for test in tests:
        assert "+SKIP" not in (test.docstring or "")
        test.globs = {"brainclock": brainclock}
        runner.run(test, out=said.append)
    assert tests
    assert not runner.failures, "".join(said)


@pytest.mark.parametrize("name", brainclock.__all__)
def test_each_public_name_shows_how_it_is_used(name: str) -> None:
    if name == "BrainclockError":
        pytest.skip("an error is not called")
    thing = getattr(brainclock, name)
    if inspect.ismodule(thing):
        module, function = vars(thing)["__main_function__"]
        thing = getattr(importlib.import_module(module), function)
    text = inspect.getdoc(thing) or ""
    assert f"brainclock.{name}(" in text
    assert ">>> " in text


def test_numbers_that_are_near_are_equal_and_others_are_not() -> None:
    checker = NearNumbers()
    assert checker.check_output("44.9 years\n", "45.1 years\n", 0)
    assert not checker.check_output("44.9 years\n", "45.3 years\n", 0)
    assert not checker.check_output("44.9 years\n", "44.9 months\n", 0)
