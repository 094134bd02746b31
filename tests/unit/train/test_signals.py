import signal
import subprocess
import sys
import threading

import pytest

from brainclock.train.signals import held_back

SCRIPT = """
import sys, time
from brainclock.train.signals import held_back
with held_back() as asked:
    print("inside", flush=True)
    while not asked():
        time.sleep(0.01)
    if "stubborn" in sys.argv:
        print("asked", flush=True)
        time.sleep(60)
    print("kept", flush=True)
print("not reached", flush=True)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_signal_comes_when_the_work_is_kept(number):
    process = subprocess.Popen([sys.executable, "-c", SCRIPT], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout.readline() == b"inside\n"
    process.send_signal(number)
    out, _ = process.communicate(timeout=30)
    assert out == b"kept\n"
    assert process.returncode == -number


def test_a_second_signal_does_not_wait():
    process = subprocess.Popen([sys.executable, "-c", SCRIPT, "stubborn"], stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"inside\n"
    process.send_signal(signal.SIGTERM)
    assert process.stdout.readline() == b"asked\n"
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate(timeout=30)
    assert out == b""
    assert process.returncode == -signal.SIGTERM


def test_without_a_signal_nothing_changes():
    before = signal.getsignal(signal.SIGTERM)
    with held_back() as asked:
        assert not asked()
        assert signal.getsignal(signal.SIGTERM) != before
    assert signal.getsignal(signal.SIGTERM) == before


def test_an_error_inside_is_not_hidden():
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyError), held_back():
        raise KeyError
    assert signal.getsignal(signal.SIGTERM) == before


def test_where_the_signal_is_ignored_the_work_still_ends():
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        with pytest.raises(SystemExit) as ended, held_back():
            signal.raise_signal(signal.SIGTERM)
        assert ended.value.code == 128 + signal.SIGTERM
    finally:
        signal.signal(signal.SIGTERM, before)


def test_another_thread_is_left_alone():
    seen = []

    def work():
        with held_back() as asked:
            seen.append((asked(), signal.getsignal(signal.SIGTERM)))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [(False, signal.getsignal(signal.SIGTERM))]
