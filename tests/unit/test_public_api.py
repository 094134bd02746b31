from __future__ import annotations

import ast
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import brainclock
from brainclock.errors import InputError
from tiny_model import build_model_folder, write_brain

STUB = Path(brainclock.__file__).with_suffix(".pyi")


def in_a_new_process(program: str) -> str:
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_importing_brainclock_imports_nothing_else() -> None:
    program = (
        "import importlib, sys; old = set(sys.modules); import brainclock; print(set(sys.modules) - old)"
    )
    assert in_a_new_process(program) == "{'brainclock'}"


@pytest.mark.parametrize("name", brainclock.__all__)
def test_each_public_name_is_there_and_documented(name: str) -> None:
    thing = getattr(brainclock, name)
    assert callable(thing)
    assert inspect.getdoc(thing)
    assert name in dir(brainclock)


def test_the_stub_names_the_same_things_from_the_same_places() -> None:
    homes = {}
    for node in ast.parse(STUB.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                assert alias.asname == alias.name, "a stub exports what is imported as itself"
                homes[alias.name] = node.module
    assert sorted(homes) == brainclock.__all__
    for name, home in homes.items():
        thing = getattr(brainclock, name)
        if not inspect.ismodule(thing):
            assert getattr(sys.modules[home], name) is thing


def test_a_name_that_is_not_public_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'precict'"):
        _ = brainclock.precict


@pytest.mark.parametrize(
    "before",
    [
        "import brainclock",
        "import brainclock.predict",
        "import brainclock, brainclock.predict.predict",
        "import brainclock; from brainclock.predict.run import predict_scans",
        "import brainclock; from brainclock import predict; assert predict is brainclock.predict",
        "import brainclock.predict; brainclock.train",
        "import brainclock; list(map(brainclock.__getattr__, brainclock.__all__))",
    ],
)
def test_predict_is_a_function_whatever_was_imported_before(before: str) -> None:
    call = "brainclock.predict('nowhere.nii.gz')"
    said = in_a_new_process(
        f"{before}\ntry: {call}\nexcept brainclock.BrainclockError as error: print(error)"
    )
    assert said.startswith("nowhere.nii.gz: found no such file")


@pytest.mark.parametrize(
    ("room", "function"),
    [("explain", "explain.explain"), ("predict", "predict.predict"), ("train", "run.train")],
)
def test_a_room_that_is_called_is_its_main_function(room: str, function: str) -> None:
    module, name = function.split(".")
    package = getattr(brainclock, room)
    main = getattr(__import__(f"brainclock.{room}.{module}", fromlist=[name]), name)
    assert inspect.signature(package) == inspect.signature(main)
    assert inspect.getdoc(package) == inspect.getdoc(main)
    assert inspect.ismodule(package)


def test_training_is_called_as_well(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="scan"):
        brainclock.train([], tmp_path / "model", brainclock.RunSettings())


def test_predict_takes_a_path_or_an_image(tmp_path: Path) -> None:
    name = "sub-01_space-MNI152NLin2009aSym"
    write_brain(tmp_path, name, 1)
    model = build_model_folder(tmp_path / "tiny")
    path = tmp_path / f"{name}_T1w.nii.gz"
    answer = brainclock.predict(str(path), model)
    assert answer.predicted_age is not None, answer.reason
    image = brainclock.read_volume(path)
    mask = brainclock.read_volume(tmp_path / f"{name}_desc-brain_mask.nii.gz").data > 0
    again = brainclock.predict(image, brainclock.load_model(model), in_template=True, mask=mask)
    assert again.predicted_age == pytest.approx(answer.predicted_age, abs=1e-4)
