from __future__ import annotations

import json
from math import cos
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from brainclock.config import EncoderSettings, Grid, PrepareSettings, RunSettings
from brainclock.errors import ModelError, OutputError
from brainclock.model import folder as module
from brainclock.model.brain_age_model import BrainAgeModel
from brainclock.model.card import ModelCard, describe_cohort
from brainclock.model.ensemble import Ensemble
from brainclock.model.familiarity import Familiarities, fit_familiarity
from brainclock.model.folder import golden_age, golden_volume, load_model, save_model, shipped_models
from brainclock.model.regressor import AffineRegressor, Regressors

SETTINGS = RunSettings(
    prepare=PrepareSettings(grid=Grid.box((24, 28, 22), (8.0, 8.0, 8.0), (0.0, -17.0, 5.0))),
    encoder=EncoderSettings(depth=10, width=4, stem="s1", cells=(1, 2, 1), norm="batch"),
)


def trained(members: int = 2) -> Ensemble:
    seeds = [SETTINGS.model_copy(update={"seed": seed}) for seed in range(members)]
    model = Ensemble(SETTINGS, [BrainAgeModel.build(own) for own in seeds])
    rng = np.random.default_rng(0)
    for number, member in enumerate(model.members):
        regressor = AffineRegressor(rng.standard_normal(64), 55.0 + number, 1.0, np.zeros(1))
        member.set_regressors(Regressors(regressor))
    model.embed(torch.rand(2, 1, 24, 28, 22, generator=torch.Generator().manual_seed(0)))  # moves batch norm
    return model


def familiarity(members: int = 2) -> Familiarities:
    rng, names = np.random.default_rng(1), [f"sub-{index}" for index in range(20)]
    return Familiarities(tuple(fit_familiarity(rng.standard_normal((20, 64)), names) for _ in range(members)))


def save(folder: Path, model: Ensemble | None = None, **kwargs) -> ModelCard:
    names = [f"sub-{index}" for index in range(20)]
    cohort = describe_cohort("test", names, list(np.arange(20, 60, 2.0)), ["F"] * 20)
    card = ModelCard(**{"name": "tiny", "settings": SETTINGS, "cohorts": (cohort,), **kwargs})
    return save_model(model or trained(), card, familiarity(), folder)


def edit_card(folder: Path, **changes) -> None:
    tree = json.loads((folder / "model.json").read_text())
    (folder / "model.json").write_text(json.dumps({**tree, **changes}))


def replace_weights(folder: Path, **changes) -> None:
    """Write other tensors, and their hash into the card."""
    tensors = load_file(folder / "weights.safetensors")
    for name, tensor in changes.items():
        key = name.replace("__", ".")
        tensors.pop(key, None)
        if tensor is not None:
            tensors[key] = tensor
    save_file(tensors, folder / "weights.safetensors")
    content = (folder / "weights.safetensors").read_bytes()
    edit_card(folder, weights_sha256=module.hashlib.sha256(content).hexdigest())


def test_loaded_model_gives_the_same_ages(tmp_path: Path):
    model = trained()
    card = save(tmp_path / "new" / "model", model)
    loaded = load_model(tmp_path / "new" / "model")
    scan = torch.rand(3, 1, 24, 28, 22, generator=torch.Generator().manual_seed(5))
    assert torch.equal(loaded.model(scan), model.eval()(scan))
    assert loaded.card == card
    assert card.members == len(loaded.model.members) == len(loaded.familiarity.members) == 2
    assert not loaded.model.training
    assert not any(p.requires_grad for p in loaded.model.parameters())
    assert card.preparation == SETTINGS.prepare.digest()
    assert card.identity.startswith("tiny-1+")
    assert golden_age(loaded.model) == pytest.approx(card.golden_age, abs=1e-3)
    assert loaded.familiarity.unfamiliarity(np.zeros(128)) == familiarity().unfamiliarity(np.zeros(128)) > 0


def test_rounded_kernels_are_kept_in_half_the_space_and_to_the_bit(tmp_path: Path):
    model = trained()
    save(tmp_path / "single", model)
    for member in model.members:
        member.round_kernels()
    save(tmp_path / "half", model)
    sizes = [(tmp_path / name / "weights.safetensors").stat().st_size for name in ("single", "half")]
    kernels = 2 * sum(w.numel() for w in model.members[0].encoder.parameters() if w.ndim == 5)
    assert sizes[0] - sizes[1] == pytest.approx(2 * kernels, rel=0.01)
    loaded = load_model(tmp_path / "half").model
    for name, tensor in model.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], tensor), name
        assert loaded.state_dict()[name].dtype == tensor.dtype


def test_equal_models_give_equal_bytes_and_saving_leaves_the_model_as_it_was(tmp_path: Path):
    model = trained()
    save(tmp_path / "a", model)
    save(tmp_path / "b")
    for name in ("weights.safetensors", "model.json"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == ["model.json", "weights.safetensors"]
    assert model.training


def test_saving_over_a_model_replaces_it(tmp_path: Path):
    save(tmp_path)
    save(tmp_path, name="other")
    assert load_model(str(tmp_path)).card.name == "other"


def test_killed_half_way_it_is_no_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    save(tmp_path)

    def killed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "write_json", killed)
    with pytest.raises(KeyboardInterrupt):
        save(tmp_path, name="other")
    with pytest.raises(ModelError, match=r"lacks model\.json"):
        load_model(tmp_path)


def test_no_place_to_write_is_one_sentence(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="file"):
        save(tmp_path / "file")


def test_what_cannot_be_saved(tmp_path: Path):
    model = trained()
    with torch.no_grad():
        model.members[1].regressor.bias.fill_(torch.nan)
    with pytest.raises(ModelError, match=r"members\.1\.regressor\.bias.*not a number"):
        save(tmp_path, model)
    with pytest.raises(ModelError, match="other settings"):
        save(tmp_path, settings=RunSettings())
    with pytest.raises(ModelError, match="has 1 members and familiarities of 2"):
        save(tmp_path, trained(1))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["model.json", "weights.safetensors"])
def test_missing_file(tmp_path: Path, name: str):
    save(tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(ModelError, match=f"lacks {name}"):
        load_model(tmp_path)


def test_changed_weights(tmp_path: Path):
    save(tmp_path)
    path = tmp_path / "weights.safetensors"
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)
    with pytest.raises(ModelError, match="was changed"):
        load_model(tmp_path)


def test_changed_preparation(tmp_path: Path):
    save(tmp_path)
    tree = json.loads((tmp_path / "model.json").read_text())
    tree["settings"]["prepare"]["bias"] = "none"
    (tmp_path / "model.json").write_text(json.dumps(tree))
    with pytest.raises(ModelError, match=r"settings\.prepare was changed"):
        load_model(tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not readable"),
        ("{", "not readable"),
        ("[]", "format None"),
        ('{"format": 99}', "format 99 and this version of brainclock reads format 2"),
        ('{"format": 1, "name": "old"}', "format 1 and this"),
        ('{"format": 2}', "name cannot be used"),
    ],
)
def test_unreadable_card(tmp_path: Path, text: str, message: str):
    save(tmp_path)
    (tmp_path / "model.json").write_text(text)
    with pytest.raises(ModelError, match=message):
        load_model(tmp_path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"members__1__regressor__bias": None}, r"lacks tensor members\.1\.regressor\.bias"),
        ({"members__2__regressor__bias": torch.zeros(1)}, r"unknown tensor members\.2\.regressor\.bias"),
        ({"extra": torch.zeros(1)}, "unknown tensor extra"),
        ({"members__0__regressor__weight": torch.zeros(1, 3)}, r"weight has shape \(1, 3\).*\(1, 64\)"),
        ({"familiarity__1__centre": None}, "no usable familiarity"),
        ({"familiarity__0__centre": torch.zeros(9)}, "no usable familiarity"),
    ],
)
def test_weights_of_another_model(tmp_path: Path, changes, message: str):
    save(tmp_path)
    replace_weights(tmp_path, **changes)
    with pytest.raises(ModelError, match=message):
        load_model(tmp_path)


def test_no_safetensors(tmp_path: Path):
    save(tmp_path)
    content = b"\x80\x04pickled"
    (tmp_path / "weights.safetensors").write_bytes(content)
    edit_card(tmp_path, weights_sha256=module.hashlib.sha256(content).hexdigest())
    with pytest.raises(ModelError, match="not a safetensors file"):
        load_model(tmp_path)


def test_shipped_models_have_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "SHIPPED", tmp_path)
    with pytest.raises(ModelError, match="ships no model whole-brain"):
        load_model()
    with pytest.raises(ModelError, match="nowhere is neither a model folder nor a shipped model"):
        load_model("nowhere")
    save(tmp_path / "another")
    save(tmp_path / "whole-brain", name="the-default")
    (tmp_path / "README.md").write_text("no model")
    assert shipped_models() == ["whole-brain", "another"]
    assert load_model().card.name == "the-default"
    assert load_model("another").folder == tmp_path / "another"


def test_golden_volume_is_a_brain_on_any_grid():
    whole = golden_volume(Grid.box((96, 112, 96), (2.0, 2.0, 2.0), (0.0, -17.0, 5.0)))
    assert 1300 < (whole > 0).sum() * 0.008 < 1800  # ml
    np.testing.assert_array_equal(whole, whole[::-1])
    slab = golden_volume(Grid.box((150, 10, 150), (1.0, 1.0, 1.0), (0.0, -20.0, 5.0)))
    assert 0.4 < (slab > 0).mean() < 0.9
    assert slab.dtype == np.float32
    # Voxels (55, 56, 48) and (48, 56, 48) lie at (15, -16, 6) and (1, -16, 6) mm.
    assert whole[55, 56, 48] == pytest.approx(0.35)
    assert whole[48, 56, 48] == pytest.approx(0.85 + 0.15 * cos(1 / 4.1) * cos(16 / 4.7) * cos(6 / 4.3))
