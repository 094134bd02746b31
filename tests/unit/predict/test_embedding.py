"""Embeddings as an array with its table."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import brainclock.predict.answers as answers
from brainclock.io.nifti import image_hash
from brainclock.io.scan import Scan
from brainclock.io.tables import read_table
from brainclock.model.folder import load_model
from brainclock.predict.embedding import COLUMNS, as_text, from_text
from brainclock.predict.run import predict_scans
from tiny_model import build_model_folder


@pytest.mark.parametrize("members", [1, 2])
def test_the_array_gives_the_ages_of_the_table(brains: list[Scan], tmp_path: Path, members: int) -> None:
    model = build_model_folder(tmp_path / "model", members=members)
    gone = replace(brains[1], path=tmp_path / "gone.nii.gz")
    out = tmp_path / "out"
    predictions = predict_scans([brains[0], gone, brains[2]], out, model=model, embeddings=True)
    array = np.load(out / "embeddings.npy", allow_pickle=False)
    loaded = load_model(model)
    assert array.dtype == np.float32
    assert array.shape == (2, loaded.model.embedding_size)
    rows = read_table(out / "embeddings.tsv")
    assert [row["key"] for row in rows] == ["sub-0", "sub-2"]
    assert [row["row"] for row in rows] == ["0", "1"]
    assert [row["sha256"] for row in rows] == [image_hash(brains[i].path) for i in (0, 2)]
    assert {row["model"] for row in rows} == {loaded.card.identity}
    weight = torch.cat([member.regressor.weight[0] for member in loaded.model.members]) / members
    ages = (torch.from_numpy(array) @ weight + loaded.model.intercept).tolist()
    assert ages == pytest.approx([predictions[i].brain_age.predicted_age for i in (0, 2)])
    assert list(rows[0]) == list(COLUMNS)
    assert json.loads((out / "embeddings.json").read_text()) == COLUMNS


def test_kept_answers_have_their_embeddings(
    brains: list[Scan], model_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    predict_scans(brains, out, model=model_folder)
    assert not (out / "embeddings.npy").exists()
    predict_scans(brains[:2], out, model=model_folder, embeddings=True)
    asked: list[str] = []
    prepare_scan = answers.prepare_scan
    monkeypatch.setattr(
        answers, "prepare_scan", lambda scan, *rest: asked.append(scan.key) or prepare_scan(scan, *rest)
    )
    predict_scans(brains, out, model=model_folder, embeddings=True)
    assert asked == ["sub-2"]
    predict_scans(brains, tmp_path / "fresh", model=model_folder, embeddings=True, workers=2)
    for name in ("embeddings.npy", "embeddings.tsv", "predictions.tsv"):
        assert (out / name).read_bytes() == (tmp_path / "fresh" / name).read_bytes()


def test_text_holds_an_embedding_exactly() -> None:
    embedding = np.random.default_rng(1).normal(size=17).astype(np.float32)
    np.testing.assert_array_equal(from_text(as_text(embedding)), embedding)
    with pytest.raises(ValueError, match=r"padding"):
        from_text("AAA")
