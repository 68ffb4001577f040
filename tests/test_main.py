"""How the program ends."""

import signal
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest

from medgan import __main__ as program


@pytest.fixture
def clock(monkeypatch):
    """The seconds that the program sees, to be set."""
    seconds = [100.0]
    monkeypatch.setattr(program.time, "monotonic", lambda: seconds[0])
    return seconds


def test_a_second_interruption_soon_after_the_first_does_not_cut_it_short_and_a_later_one_counts(clock):
    interrupt = program._Interruption()
    with pytest.raises(KeyboardInterrupt):
        interrupt(2, None)
    clock[0] += 0.02
    interrupt(2, None)
    clock[0] += program._PATIENCE
    with pytest.raises(KeyboardInterrupt):
        interrupt(2, None)


def company(backend, *, begun=True):
    return SimpleNamespace(
        is_available=lambda: True, is_initialized=lambda: begun, get_backend=lambda: backend
    )


@pytest.mark.parametrize(
    ("others", "code", "at_once"),
    [
        (company("nccl"), 2, [2]),
        (company("nccl"), 0, []),
        (company("nccl", begun=False), 2, []),
        (company("gloo"), 2, []),
        (None, 2, []),
    ],
)
def test_a_process_that_failed_does_not_wait_for_others_on_gpus(others, code, at_once, monkeypatch):
    ended = []
    monkeypatch.setattr(program, "steady", lambda: None)
    monkeypatch.setattr(program.signal, "signal", lambda *_: None)
    monkeypatch.setattr(program, "app", lambda: sys.exit(code))
    monkeypatch.setattr(program.os, "_exit", ended.append)
    monkeypatch.setitem(sys.modules, "torch.distributed", others)
    with pytest.raises(SystemExit) as end:
        program.main()
    assert (end.value.code, ended) == (code, at_once)


def test_two_interruptions_in_a_row_are_one_sentence_and_no_traceback():
    script = (
        "import time\nfrom medgan import __main__ as program\n"
        "def work():\n    print('ready', flush=True)\n    time.sleep(60)\n"
        "program.app = work\nprogram.main()\n"
    )

    def listen():
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # a shell in the background has its jobs ignore it

    line = [sys.executable, "-c", script]
    with subprocess.Popen(
        line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=listen
    ) as process:
        assert process.stdout.readline() == "ready\n"
        for pause in (0.02, 0.05, 0.1):
            process.send_signal(signal.SIGINT)
            time.sleep(pause)
        told = process.communicate(timeout=60)[1]
    assert process.returncode == 130
    assert told == "error: interrupted\nnext: Repeat the same command: it goes on where it stopped.\n"


def test_an_interruption_that_is_ignored_from_outside_stays_ignored(monkeypatch):
    monkeypatch.setattr(program, "app", lambda: None)
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        program.main()
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)
