"""``predict_scans`` on a Dask cluster whose workers die."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path

import pytest

from bids_dataset import write_dataset
from brainclock.io.find import find_scans
from brainclock.predict.run import predict_scans
from tiny_model import build_model_folder


def files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def kill_after(answers: int, out: Path, process: int) -> None:
    while len(list(out.glob(".scans/sub-*.json"))) < answers:
        time.sleep(0.005)
    os.kill(process, signal.SIGKILL)


def test_a_worker_killed_in_the_middle_loses_nothing(tmp_path: Path) -> None:
    distributed = pytest.importorskip("distributed")
    scans = find_scans([write_dataset(tmp_path / "raw", [f"sub-{i:02}" for i in range(16)])])
    model = build_model_folder(tmp_path / "model")
    out = tmp_path / "out"
    cluster = distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, silence_logs=50
    )
    with cluster, distributed.Client(cluster, set_as_default=False) as client:
        pids = client.run(os.getpid)
        victim = next(iter(pids.values()))
        killer = threading.Thread(target=kill_after, args=(3, out, victim), daemon=True)
        killer.start()
        predict_scans(scans, out, model=model, scheduler=cluster.scheduler_address, progress=False)
        killer.join(timeout=10)
        assert not killer.is_alive()
        assert victim not in client.run(os.getpid).values()
    predict_scans(scans, tmp_path / "alone", model=model, progress=False)
    assert files(out) == files(tmp_path / "alone")
