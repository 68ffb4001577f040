"""Work comes back in order, from processes or not; a process that dies costs one item."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from medgan.base import workers
from medgan.base.errors import DatasetError, PlanError, ScanError
from medgan.base.workers import _MIN_ITEMS, CHUNK, WorkerPool, _worker_count

MANY = range(_MIN_ITEMS + 3)
FATAL = {5, 6, _MIN_ITEMS}


@pytest.fixture(autouse=True)
def two(monkeypatch):
    """Two workers, however many processors there are."""
    monkeypatch.setenv("MEDGAN_WORKERS", "2")


def map_ordered(function, items, on_crash):
    """All results of a pool that does one step."""
    with WorkerPool() as pool:
        return list(pool.map_ordered(function, items, on_crash))


def where(number):
    return number, os.getpid()


def meet(place):
    """The number of this process, once two processes have come here."""
    (place / str(os.getpid())).touch()
    patience = time.monotonic() + 60
    while len(list(place.iterdir())) < 2 and time.monotonic() < patience:
        time.sleep(0.01)
    return os.getpid()


def die(number):
    if number in FATAL:
        os.kill(os.getpid(), signal.SIGSEGV)
    return number


def refuse(number):
    if number == _MIN_ITEMS:
        raise ScanError("bad.dcm: is bad", verdict="error:bad", hint="Mend it.")
    return number


def never(number):
    raise AssertionError(number)


def test_results_keep_their_order_and_come_from_other_processes():
    made = map_ordered(where, MANY, never)
    assert [number for number, _ in made] == list(MANY)
    assert os.getpid() not in {process for _, process in made}


def test_two_processes_work_at_the_same_time(tmp_path):
    assert len(set(map_ordered(meet, [tmp_path] * len(MANY), never))) == 2


@pytest.mark.parametrize(("items", "count"), [(range(_MIN_ITEMS - 1), 2), (MANY, 1)])
def test_little_work_and_a_single_worker_start_no_process(items, count, monkeypatch):
    monkeypatch.setenv("MEDGAN_WORKERS", str(count))
    assert {process for _, process in map_ordered(where, items, never)} == {os.getpid()}


def test_one_crew_serves_several_steps_with_the_same_processes(tmp_path):
    steps = []
    with WorkerPool() as pool:
        for name in ("first", "second"):
            place = tmp_path / name
            place.mkdir()
            steps.append(set(pool.map_ordered(meet, [place] * len(MANY), never)))
    assert steps[0] == steps[1]
    assert len(steps[0]) == 2


@pytest.mark.skipif(sys.platform == "win32", reason="no signals there")
def test_an_item_that_kills_its_process_is_the_only_one_lost():
    made = map_ordered(die, MANY, lambda number: -number)
    assert made == [-number if number in FATAL else number for number in MANY]


def test_errors_cross_from_a_worker_whole():
    with pytest.raises(ScanError, match=r"bad\.dcm: is bad") as caught:
        map_ordered(refuse, MANY, never)
    assert (caught.value.verdict, caught.value.hint) == ("error:bad", "Mend it.")
    function, arguments = DatasetError("one", hint="two").__reduce__()
    assert vars(function(*arguments)) == {"message": "one", "hint": "two"}


def test_no_more_is_under_way_than_memory_allows():
    begun = []

    def chunks():
        for number in range(100):
            begun.append(number)
            yield [number]

    with WorkerPool() as pool:
        made = pool._by_chunks(where, chunks())
        assert next(made)[0][0] == 0
        made.close()
    assert len(begun) == workers._CHUNKS_AHEAD * 2


def test_a_script_without_a_guard_is_served_without_processes(tmp_path):
    script = tmp_path / "naive.py"
    script.write_text(
        "from medgan.base.workers import WorkerPool\n"
        f"with WorkerPool() as pool:\n    print(sum(pool.map_ordered(abs, range({len(MANY)}), None)))\n",
        encoding="utf-8",
    )
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout.splitlines()[-1] == str(sum(MANY))


ORPHANS = """
import os, sys, time
from medgan.base.workers import WorkerPool
def slow(number):
    print(os.getpid(), flush=True)
    time.sleep(30)
if __name__ == "__main__":
    with WorkerPool() as pool:
        list(pool.map_ordered(slow, range(1000), None))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no signals there")
def test_workers_end_with_a_killed_parent(tmp_path):
    script = tmp_path / "parent.py"
    script.write_text(ORPHANS, encoding="utf-8")
    with subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, text=True) as parent:
        children = {int(parent.stdout.readline()) for _ in range(2)}
        parent.kill()
    end = time.monotonic() + 20
    while any(is_alive(child) for child in children) and time.monotonic() < end:
        time.sleep(0.1)
    assert not any(is_alive(child) for child in children)


def is_alive(process):
    try:
        return Path(f"/proc/{process}/stat").read_text(encoding="utf-8").split(") ")[1][0] != "Z"
    except OSError:
        return False


def test_a_wish_that_is_no_number_is_refused(monkeypatch):
    monkeypatch.setenv("MEDGAN_WORKERS", "0")
    with pytest.raises(PlanError, match="MEDGAN_WORKERS is '0'"):
        _worker_count()


def test_the_process_that_reads_uses_all_processors_under_a_launcher_too(monkeypatch):
    monkeypatch.delenv("MEDGAN_WORKERS")
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(12)), raising=False)
    assert _worker_count() == 12
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "4")
    assert _worker_count() == 12
    assert CHUNK < _MIN_ITEMS


@pytest.mark.skipif(sys.platform != "linux", reason="only glibc is told")
def test_freed_memory_stays():
    script = (
        "import numpy, resource, sys\n"
        "from medgan.base.workers import keep_memory\n"
        "if len(sys.argv) > 1: keep_memory()\n"
        "for k in range(60):\n"
        " a, b, c = (numpy.ones(1 << 18, numpy.float32) for _ in range(3))\n"
        " del a, b, c\n"
        " if k == 9: before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)"
    )
    faults = [
        int(
            subprocess.run(
                [sys.executable, "-c", script, *words], capture_output=True, text=True, check=True
            ).stdout
        )
        for words in ([], ["keep"])
    ]
    assert faults[1] < 100 < faults[0]
