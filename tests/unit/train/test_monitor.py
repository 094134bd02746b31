import numpy as np
import pytest

from brainclock.io.tables import read_table
from brainclock.model.brain_age_model import BrainAgeModel
from brainclock.train.loop import Progress, Task
from brainclock.train.monitor import COLUMNS, Monitor, embedding_order
from brainclock.train.views import make_views
from tiny_training import cohort, settings


def monitor(path, held_out: int = 6) -> Monitor:
    people = cohort(20)
    views = make_views(people.volumes, people.keys, settings())
    rows, out = np.arange(held_out, len(people)), np.arange(held_out)
    own = tuple(people.participants[row] for row in rows), tuple(people.sites[row] for row in rows)
    task = Task(views, rows, people.ages[rows], *own)
    return Monitor(task, out, people.ages[out], [people.sites[row] for row in out], settings(), path)


def at(step: int, steps_here: int, loss: float = 1.5) -> Progress:
    return Progress(step, loss, 1e-3, 10.0, steps_here, BrainAgeModel.build(settings()).eval())


def test_a_row_an_epoch(tmp_path):
    observe = monitor(tmp_path / "metrics.tsv")
    observe(at(2, 2))
    observe(at(4, 4, loss=1.25))
    rows = read_table(tmp_path / "metrics.tsv")
    assert list(rows[0]) == [*COLUMNS, "mean_error, north", "mean_error, south"]
    assert [(row["step"], row["loss"]) for row in rows] == [("2", "1.5"), ("4", "1.25")]
    for row in rows:
        whole = float(row["validation_mean_error"])
        parts = sorted([float(row["mean_error, north"]), float(row["mean_error, south"])])
        assert parts[0] <= whole <= parts[1]
        assert abs(whole) <= float(row["validation_mae"]) < 60
        assert 0 < float(row["validation_loss"]) < 5


def test_a_resumed_run_rewrites_what_comes_after_its_checkpoint(tmp_path):
    path = tmp_path / "metrics.tsv"
    first = monitor(path)
    for step in (2, 4, 6):
        first(at(step, step))
    before = path.read_text().splitlines()
    monitor(path)(at(6, 3, loss=1.5))  # goes on from step 3
    after = path.read_text().splitlines()
    assert after == [*before[:2], before[3]]


def test_a_new_run_starts_a_new_table(tmp_path):
    path = tmp_path / "metrics.tsv"
    monitor(path)(at(2, 2))
    monitor(path)(at(3, 3))
    assert [row["step"] for row in read_table(path)] == ["3"]


@pytest.mark.parametrize("content", ["", "other\tcolumns\n1\t2\n", "step\tloss\nmany\t2\n"])
def test_a_damaged_table_is_begun_again(tmp_path, content, caplog):
    path = tmp_path / "metrics.tsv"
    path.write_text(content)
    monitor(path)(at(4, 2))
    assert [row["step"] for row in read_table(path)] == ["4"]
    assert "damaged" in caplog.text


def test_with_nobody_held_out_the_loss_is_all_there_is(tmp_path):
    monitor(tmp_path / "metrics.tsv", held_out=0)(at(2, 2))
    (row,) = read_table(tmp_path / "metrics.tsv")
    assert row["loss"] == "1.5"
    assert row["validation_mae"] == "n/a"


def test_an_embedding_in_the_order_of_age_has_order_one():
    ages = np.array([20.0, 27, 39, 56, 80])
    line = np.outer(ages, [0.3, -0.4])
    assert embedding_order(line, ages) == pytest.approx(1.0)
    shuffled = line[[2, 0, 4, 1, 3]]
    order = embedding_order(shuffled, ages)
    assert order < 0.9
