from __future__ import annotations

import gc
import logging
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from brainclock.errors import InputError, OutputError
from brainclock.execution import map_scans

HERE = Path(__file__).parent


@pytest.fixture(autouse=True)
def _importable_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(HERE)


@pytest.fixture(scope="module")
def cluster() -> Iterator[object]:
    distributed = pytest.importorskip("distributed")
    sys.path.insert(0, str(HERE))
    try:
        with distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, silence_logs=50
        ) as found:
            yield found
    finally:
        sys.path.remove(str(HERE))


def chores(folder: Path, n: int = 8) -> list[tuple[str, Path]]:
    return [(f"a{i}", folder) for i in range(n)]


def written(folder: Path) -> list[str]:
    return sorted(path.name.split("-")[0] for path in folder.glob("*.done"))


@pytest.mark.parametrize("workers", [1, 3])
def test_outcomes_come_in_the_order_of_the_items(tmp_path: Path, workers: int) -> None:
    import chores as work

    outcomes = list(map_scans(work.later_first, chores(tmp_path), key=work.name_of, workers=workers))
    assert [o.key for o in outcomes] == [o.value for o in outcomes] == [f"a{i}" for i in range(8)]
    assert outcomes[0].seconds >= 0.3 > outcomes[1].seconds


@pytest.mark.parametrize("workers", [1, 2])
def test_what_is_meant_for_the_user_is_a_value(tmp_path: Path, workers: int) -> None:
    import chores as work

    outcomes = list(map_scans(work.refuse_a1, chores(tmp_path, 5), key=work.name_of, workers=workers))
    assert [o.value for o in outcomes] == ["a0", None, None, None, "a4"]
    assert outcomes[1].failure == "contrast: 0.01 is below 0.05"
    assert outcomes[1].figures == {"contrast": 0.01}
    assert outcomes[2].failure == "a2.nii: found 2 axes, expected 3. Give a volume."
    assert "memory" in str(outcomes[3].failure)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_bug_is_raised_and_names_the_scan(tmp_path: Path, workers: int) -> None:
    import chores as work

    with pytest.raises(ZeroDivisionError, match="oh") as caught:
        list(map_scans(work.bug_on_a2, chores(tmp_path), key=work.name_of, workers=workers))
    assert "a2" in "".join(caught.value.__notes__)


def test_a_bug_that_cannot_be_sent_still_arrives(tmp_path: Path) -> None:
    import chores as work

    with pytest.raises(RuntimeError, match="StubbornError: leftright") as caught:
        list(map_scans(work.stubborn_bug, chores(tmp_path), key=work.name_of, workers=2))
    assert "stubborn_bug" in "".join(caught.value.__notes__)


def test_a_value_that_cannot_be_sent_is_a_bug(tmp_path: Path) -> None:
    import chores as work

    with pytest.raises(Exception, match=r"pickle|local"):
        list(map_scans(work.returns_a_function, chores(tmp_path), key=work.name_of, workers=2))


def test_a_killed_worker_costs_one_retry_and_nothing_else(tmp_path: Path) -> None:
    import chores as work

    outcomes = list(map_scans(work.die_once_on_a3, chores(tmp_path), key=work.name_of, workers=3))
    assert [o.value for o in outcomes] == [f"A{i}" for i in range(8)]
    assert written(tmp_path) == [f"a{i}" for i in range(8)]


def test_a_scan_that_kills_its_worker_fails_alone(tmp_path: Path) -> None:
    import chores as work

    outcomes = list(map_scans(work.die_on_a3, chores(tmp_path), key=work.name_of, workers=3))
    assert [o.key for o in outcomes if o.failure is not None] == ["a3"]
    assert "signal 9, twice" in str(outcomes[3].failure)
    assert written(tmp_path) == [f"a{i}" for i in range(8) if i != 3]


def test_workers_share_the_cores_and_the_parent_keeps_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import chores as work

    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.delenv("ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS", raising=False)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(12)))
    outcomes = map_scans(work.threads, chores(tmp_path, 3), key=work.name_of, workers=3)
    assert [o.value for o in outcomes] == ["14"] * 3
    assert os.environ["OMP_NUM_THREADS"] == "1"
    assert "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS" not in os.environ


def test_leaving_early_ends_the_workers(tmp_path: Path) -> None:
    import chores as work

    outcomes = map_scans(work.pid, chores(tmp_path), key=work.name_of, workers=2)
    worker = next(outcomes).value
    assert worker is not None
    assert worker != os.getpid()
    outcomes.close()  # type: ignore[attr-defined]
    with pytest.raises(ProcessLookupError):
        os.kill(worker, 0)


def test_ctrl_c_ends_everything(tmp_path: Path) -> None:
    script = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "import chores, pathlib\n"
        "from brainclock.execution import map_scans\n"
        "if __name__ == '__main__':\n"
        "    items = [(f'a{i}', pathlib.Path(sys.argv[2])) for i in range(1000)]\n"
        "    for outcome in map_scans(chores.write, items, key=chores.name_of, workers=2):\n"
        "        print(outcome.key, flush=True)\n"
    )
    path = tmp_path / "script.py"
    path.write_text(script)
    with subprocess.Popen(
        [sys.executable, path, HERE, tmp_path], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        start_new_session=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        process.stdout.readline()
        os.killpg(process.pid, 2)
        _, complaint = process.communicate(timeout=20)
    assert complaint.rstrip().endswith("KeyboardInterrupt")
    assert complaint.count("Traceback") == 1
    before = written(tmp_path)
    time.sleep(0.2)
    assert written(tmp_path) == before


def test_a_script_without_a_guard_gets_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "script.py"
    path.write_text(
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "import chores, pathlib\n"
        "from brainclock.execution import map_scans\n"
        "list(map_scans(chores.write, [('a', pathlib.Path('.'))] * 3, key=chores.name_of, workers=2))\n"
    )
    result = subprocess.run(
        [sys.executable, path, HERE], capture_output=True, text=True, cwd=tmp_path, timeout=60
    )
    assert result.returncode == 1
    assert "InputError: A worker process" in result.stderr
    assert "__main__" in result.stderr.splitlines()[-1]


def test_one_log_line_a_scan(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    import chores as work

    caplog.set_level(logging.INFO, "brainclock")
    list(map_scans(work.refuse_a1, chores(tmp_path, 2), key=work.name_of))
    first, second = caplog.records
    assert first.getMessage().startswith("a0: done in ")
    assert first.getMessage().endswith("(1 of 2)")
    assert second.levelno == logging.WARNING
    assert "contrast" in second.getMessage()


def test_no_items_no_outcomes() -> None:
    import chores as work

    assert list(map_scans(work.write, [], key=work.name_of, workers=4)) == []


def test_workers_below_one_are_refused_before_anything_runs() -> None:
    import chores as work

    with pytest.raises(InputError, match="--workers: found 0"):
        map_scans(work.write, [], key=work.name_of, workers=0)


def test_a_cluster_gives_the_same_outcomes(cluster: object, tmp_path: Path) -> None:
    import chores as work

    address: str = cluster.scheduler_address  # type: ignore[attr-defined]
    outcomes = list(map_scans(work.refuse_a1, chores(tmp_path, 5), key=work.name_of, scheduler=address))
    assert [o.value for o in outcomes] == ["a0", None, None, None, "a4"]
    assert outcomes[1].figures == {"contrast": 0.01}
    with pytest.raises(ZeroDivisionError) as caught:
        list(map_scans(work.bug_on_a2, chores(tmp_path), key=work.name_of, scheduler=address))
    assert "a2" in "".join(caught.value.__notes__)


def test_a_cluster_survives_the_death_of_a_worker(cluster: object, tmp_path: Path) -> None:
    import chores as work

    address: str = cluster.scheduler_address  # type: ignore[attr-defined]
    items = chores(tmp_path, 60)
    outcomes = list(map_scans(work.die_once_on_a3, items, key=work.name_of, scheduler=address))
    assert (tmp_path / "died").exists()
    assert [o.value for o in outcomes] == [f"A{i}" for i in range(60)]
    assert sorted(set(written(tmp_path))) == sorted(f"a{i}" for i in range(60))
    again = len(written(tmp_path)) - 60  # what was done, but not yet fetched, died with its worker
    assert again <= 3


def test_no_scheduler_there_is_said_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("distributed")
    import chores as work

    monkeypatch.setattr("brainclock.execution.cluster.SCHEDULER_TIMEOUT_S", 1.0)
    with pytest.raises(InputError, match=r"--scheduler tcp://127.0.0.1:9: found no answer"):
        list(map_scans(work.write, [("a", Path())], key=work.name_of, scheduler="tcp://127.0.0.1:9"))


@pytest.mark.parametrize("workers", [1, 2])
def test_an_output_that_cannot_be_written_stops_the_run(tmp_path: Path, workers: int) -> None:
    import chores as work

    items = chores(tmp_path, 40)
    with pytest.raises(OutputError, match="no space"):
        list(map_scans(work.full_disk_on_a1, items, key=work.name_of, workers=workers))
    assert len(written(tmp_path)) < 40


@pytest.mark.filterwarnings("error::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("address", ["nonsense", "tcp://", "foo://host:1", "host:port"])
def test_an_address_that_is_none_is_one_sentence(address: str) -> None:
    pytest.importorskip("distributed")
    import chores as work

    with pytest.raises(InputError, match=f"--scheduler {address}: found no answer"):
        list(map_scans(work.write, [("a", Path())], key=work.name_of, scheduler=address))
    gc.collect()  # a client that was half made would speak up now


def test_no_dask_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    import chores as work

    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(InputError, match=r"pip install 'brainclock\[cluster\]'"):
        list(map_scans(work.write, [("a", Path())], key=work.name_of, scheduler="tcp://127.0.0.1:9"))
