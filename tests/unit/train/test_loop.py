import dataclasses
import importlib.util
import itertools
import math
from pathlib import Path

import pytest
import torch

from brainclock.errors import InputError
from brainclock.train.loop import learning_rate, train_encoder, weight_groups

_spec = importlib.util.spec_from_file_location("two_processes", Path(__file__).with_name("two_processes.py"))
tiny = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(tiny)


class _KilledError(Exception):
    pass


@pytest.mark.parametrize("objective", ["rnc", "l1", "soft-label"])
@pytest.mark.parametrize("last", [1, 2, 5])
def test_killed_and_resumed_is_undisturbed(tmp_path, objective, last):
    settings = tiny.settings(steps=6, objective=objective, checkpoint_minutes=0, steps_per_epoch=4)
    seen, again = [], []
    undisturbed = train_encoder(
        tiny.task(), settings, observe=lambda progress: seen.append((progress.step, progress.loss))
    )

    killed_after = {"left": last}

    class _Views:
        """The views of the task, until the process dies."""

        def __init__(self, views):
            self.views = views

        origin = ""

        def draw(self, rows, generator):
            if killed_after["left"] == 0:
                raise _KilledError
            killed_after["left"] -= 1
            return self.views.draw(rows, generator)

        def make(self, drawn, device):
            return self.views.make(drawn, device)

    task = tiny.task()
    object.__setattr__(task, "views", _Views(task.views))
    path = tmp_path / "checkpoint.safetensors"
    with pytest.raises(_KilledError):
        train_encoder(task, settings, checkpoint=path, observe=lambda p: again.append((p.step, p.loss)))
    resumed = train_encoder(
        tiny.task(), settings, checkpoint=path, observe=lambda p: again.append((p.step, p.loss))
    )
    assert torch.equal(tiny.weights(resumed), tiny.weights(undisturbed))
    assert again == seen
    assert [step for step, _ in seen] == [4, 6]


def test_a_finished_training_is_only_read(tmp_path):
    settings = tiny.settings(steps=2)
    path = tmp_path / "checkpoint.safetensors"
    first = train_encoder(tiny.task(), settings, checkpoint=path)
    again = train_encoder(tiny.task(), settings, checkpoint=path, observe=lambda _: pytest.fail("trained"))
    assert torch.equal(tiny.weights(first), tiny.weights(again))


def test_a_checkpoint_of_other_settings_is_not_taken_up(tmp_path):
    path = tmp_path / "checkpoint.safetensors"
    train_encoder(tiny.task(), tiny.settings(steps=2), checkpoint=path)
    other = tiny.settings(steps=2, temperature=1.0)
    mixed = train_encoder(tiny.task(), other, checkpoint=path)
    assert torch.equal(tiny.weights(mixed), tiny.weights(train_encoder(tiny.task(), other)))


def test_a_damaged_checkpoint_is_named(tmp_path):
    path = tmp_path / "checkpoint.safetensors"
    path.write_bytes(b"nothing of the kind")
    with pytest.raises(InputError, match=r"checkpoint\.safetensors"):
        train_encoder(tiny.task(), tiny.settings(steps=2), checkpoint=path)


def test_regression_starts_at_the_mean_age_and_answers_in_years():
    settings = tiny.settings(steps=1, learning_rate=1e-12, objective="mse")
    model = train_encoder(tiny.task(), settings)
    ages = model.read_embeddings(torch.rand(3, model.embedding_size))
    torch.testing.assert_close(ages, torch.full((3,), tiny.task().ages.mean(), dtype=torch.float32))


def test_a_training_goes_on_from_the_weights_of_another():
    first = train_encoder(tiny.task(), tiny.settings(steps=2, objective="l1", learning_rate=0.1))
    fine = tiny.settings(steps=1, objective="l1", learning_rate=1e-12, ema=0.0)
    task = dataclasses.replace(tiny.task(), start=first)
    torch.testing.assert_close(tiny.weights(train_encoder(task, fine)), tiny.weights(first))
    assert task.identity(fine) != tiny.task().identity(fine)


def test_the_rate_rises_then_falls_to_a_thousandth():
    settings = tiny.settings(steps=100, warmup_steps=10, learning_rate=0.5).train
    rates = [learning_rate(step, settings) for step in range(100)]
    assert rates[0] < rates[4] < rates[9]
    assert max(rates) <= 0.5
    assert all(a > b for a, b in itertools.pairwise(rates[10:]))
    assert math.isclose(learning_rate(100, settings), 0.5e-3)


def test_norms_and_biases_do_not_decay():
    from brainclock.model.brain_age_model import BrainAgeModel

    model = BrainAgeModel.build(tiny.settings())
    decaying, free = weight_groups(model, tiny.settings(weight_decay=0.3).train)
    assert decaying["weight_decay"] == 0.3
    assert free["weight_decay"] == 0.0
    count = len(decaying["params"]) + len(free["params"])
    assert count == len(list(model.parameters()))
    assert all(weight.ndim <= 1 for weight in free["params"])


def test_batch_norm_in_pieces_keeps_its_statistics_sane():
    settings = tiny.settings(steps=2, micro_batch=4)
    settings = settings.model_copy(update={"encoder": settings.encoder.model_copy(update={"norm": "batch"})})
    model = train_encoder(tiny.task(), settings)
    counts = [b.item() for name, b in model.named_buffers() if name.endswith("num_batches_tracked")]
    assert counts
    assert set(counts) == {4}  # two pieces in each of two steps: the pass without a graph does not count
