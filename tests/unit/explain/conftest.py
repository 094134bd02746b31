from __future__ import annotations

from pathlib import Path

import pytest
import torch

from brainclock.model.ensemble import Ensemble
from brainclock.model.folder import LoadedModel, load_model
from brainclock.prepare.prepared import PreparedScan
from tiny_explanation import make_model, make_prepared
from tiny_model import build_model_folder


@pytest.fixture(params=["one member", "three that see both sides"])
def model(request: pytest.FixtureRequest) -> Ensemble:
    return make_model() if request.param == "one member" else make_model(members=3, mirror=True)


@pytest.fixture
def prepared() -> PreparedScan:
    return make_prepared(0)


@pytest.fixture
def volume(prepared: PreparedScan) -> torch.Tensor:
    return torch.from_numpy(prepared.data)[None, None]


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_model_folder(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture
def loaded(model_folder: Path) -> LoadedModel:
    return load_model(model_folder)
