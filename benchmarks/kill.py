"""Prepare, train and predict killed at random moments, started again, and compared with undisturbed runs.

``python benchmarks/kill.py [prepare predict train] [--kills 10] [--heads 4]`` runs each command on
simulated heads once undisturbed. Then, for each kill, a fresh output: SIGKILL to the whole process group
at a random moment of the run, the same command again to its end, and every file compared byte by byte
(but for logs, and for what a training keeps to go on). Prints the moments, and how many runs ended with
the same bytes.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from brainclock.io.nifti import write_volume
from brainclock.io.tables import write_table
from brainclock.simulate.head import simulate_head

SMALL_TRAINING = (
    *("--name", "small"),
    *("--set", "encoder.depth=10", "--set", "encoder.width=4", "--set", "train.batch_size=6"),
    *("--set", "train.steps=40", "--set", "train.steps_per_epoch=10", "--set", "augment.looks=2"),
    *("--set", "train.checkpoint_minutes=0"),
)


def make_heads(folder: Path, count: int) -> Path:
    rows = []
    for number in range(count):
        head = simulate_head(number, spacing_mm=2.0)
        name = f"sub-{number:02}"
        write_volume(folder / name / "anat" / f"{name}_T1w.nii.gz", head.data, head.affine)
        rows.append({"participant_id": name, "age": 20.0 + 5 * number, "group": "HC"})
    write_table(folder / "participants.tsv", rows, list(rows[0]))
    return folder


def start(what: str, heads: Path, out: Path, options: tuple[str, ...]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "brainclock", what, str(heads), "-o", str(out), *options],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def results(out: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(out)): path.read_bytes()
        for path in out.rglob("*")
        if path.is_file() and path.suffix != ".log" and ".work" not in path.parts
    }


def run(what: str, heads: Path, folder: Path, kills: int, options: tuple[str, ...] = ()) -> None:
    began = time.perf_counter()
    if start(what, heads, folder / "whole", options).wait():
        raise SystemExit(f"brainclock {what} failed")
    seconds = time.perf_counter() - began
    whole, moments, same = results(folder / "whole"), random.Random(what), 0
    print(f"{what}: {seconds:.0f} s undisturbed, {len(whole)} files. Killed after", end="", flush=True)
    for kill in range(kills):
        out = folder / f"killed-{kill}"
        with start(what, heads, out, options) as process:
            moment = moments.uniform(0, seconds)
            try:
                process.wait(moment)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
        print(f" {moment:.1f}", end="", flush=True)
        status = start(what, heads, out, options).wait()
        same += status == 0 and results(out) == whole
    print(f" s: {same} of {kills} ended with the same bytes.", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("commands", nargs="*", default=["prepare", "predict", "train"])
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--heads", type=int, default=4)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        few = make_heads(folder / "few", options.heads)
        for what in options.commands:
            if what != "train":
                run(what, few, folder / what, options.kills)
                continue
            many = make_heads(folder / "many", 14)
            run("prepare", many, folder / "prepared", 0)
            ages = ("--ages", str(many / "participants.tsv"))
            run(
                "train", folder / "prepared" / "whole", folder / "train", options.kills, SMALL_TRAINING + ages
            )


if __name__ == "__main__":
    main()
