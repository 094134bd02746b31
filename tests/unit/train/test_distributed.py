"""Several processes, and pieces of a batch, take the same steps as one process with the whole batch."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from brainclock.train.loop import train_encoder

SCRIPT = Path(__file__).with_name("two_processes.py")
_spec = importlib.util.spec_from_file_location("two_processes", SCRIPT)
tiny = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(tiny)


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("two")
    done = subprocess.run([sys.executable, SCRIPT, out], capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr[-3000:]
    return out


@pytest.mark.parametrize("case", tiny.CASES)
def test_two_processes_are_one(trained, case):
    alone, together = (load_file(trained / f"{case}-{n}.safetensors")["weights"] for n in (1, 2))
    start = tiny.weights(train_encoder(tiny.task(), tiny.settings(**tiny.CASES[case], learning_rate=1e-12)))
    assert (alone - start).abs().max() > 1e-4  # it moved at all
    torch.testing.assert_close(together, alone, rtol=0, atol=1e-5)


@pytest.mark.parametrize("objective", ["rnc", "l1"])
def test_cached_embeddings_take_the_steps_of_the_whole_batch(objective):
    whole = tiny.weights(train_encoder(tiny.task(), tiny.settings(objective=objective)))
    cached = tiny.weights(train_encoder(tiny.task(), tiny.settings(objective=objective, micro_batch=3)))
    torch.testing.assert_close(cached, whole, rtol=0, atol=1e-5)
