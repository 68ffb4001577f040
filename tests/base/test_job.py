"""What several processes do together is what one does alone, in the same order, and nobody waits in vain."""

import os
import pickle
import signal
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from itertools import islice

import pytest

from medgan.base.errors import DatasetError, JobError, MedganError, PlanError
from medgan.base.job import Job
from medgan.base.processes import Processes
from medgan.base.workers import _MIN_ITEMS

SOON = 60


class Table:
    """Where threads that stand for processes exchange objects."""

    def __init__(self, size):
        self.barrier = threading.Barrier(size, timeout=SOON)
        self.there = [b""] * size

    def meet(self, rank, thing):
        """What each of them has laid down."""
        try:
            self.there[rank] = pickle.dumps(thing)
            self.barrier.wait()
            found = [pickle.loads(one) for one in self.there]
            self.barrier.wait()
        except threading.BrokenBarrierError as error:
            raise JobError("another process of this job has ended unexpectedly") from error
        return found


class Seat:
    """The exchange of one of them."""

    def __init__(self, table, rank):
        self.table = table
        self.rank = rank

    def broadcast(self, thing):
        return self.table.meet(self.rank, thing)[0]

    def gather(self, thing):
        found = self.table.meet(self.rank, thing)
        return found if self.rank == 0 else []


def together(size, work):
    """What `work` of a job returns, or raises, in each of its processes."""
    table = Table(size)

    def one(rank):
        HERE.rank = rank
        here = Processes(rank=rank, size=size, local_rank=rank, local_size=size)
        job = Job(processes=here, exchange=Seat(table, rank))
        try:
            return work(job)
        except Lost:
            table.barrier.abort()
            return None
        except MedganError as error:
            return error

    with ThreadPoolExecutor(size) as threads:
        return [done.result(SOON) for done in [threads.submit(one, rank) for rank in range(size)]]


class Lost(Exception):  # noqa: N818  # no error of medgan's
    """What ends a process unexpectedly."""


def share(job, work):
    """What `work` returns in the first process, with the workers of all."""

    def lead():
        with job.workers() as pool:
            return work(pool)

    return job.first(lead)


HERE = threading.local()
"""Which process a thread stands for."""

MANY = range(_MIN_ITEMS + 3)
FATAL = {5, _MIN_ITEMS}


def lost_item(item):
    return -item, 0


def never(item):
    raise AssertionError(item)


def where(item):
    return item, threading.get_ident()


def refuse_seven(item):
    if item == 7:
        raise DatasetError("seven is bad", hint="Mend it.")
    return item


@pytest.mark.parametrize("size", [2, 3])
@pytest.mark.parametrize("count", [0, 1, 2, 5, 64, 65, 200])
def test_a_row_is_divided_evenly_and_comes_back_in_order(size, count):
    made = together(
        size,
        lambda job: share(job, lambda pool: [*pool.map_ordered(where, range(count), never, chunk=16)]),
    )
    assert all(one == made[0] for one in made)
    assert [item for item, _ in made[0]] == list(range(count))
    done = [sum(thread == each for _, thread in made[0]) for each in {thread for _, thread in made[0]}]
    assert len(done) == min(size, count)
    assert not done or max(done) - min(done) <= (16 if count > 16 else 1)


def test_several_steps_follow_each_other_even_where_one_is_not_read_to_its_end():
    def work(pool):
        begun = list(islice(pool.map_ordered(abs, range(100), never, chunk=4), 3))
        return begun + list(pool.map_ordered(str, range(3), never))

    assert together(2, lambda job: share(job, work)) == [[0, 1, 2, "0", "1", "2"]] * 2


@pytest.mark.parametrize("size", [1, 2, 3])
def test_an_error_is_raised_in_all_after_what_came_before_it(size):
    before = []

    def work(pool):
        before.extend(pool.map_ordered(refuse_seven, range(20), never, chunk=4))

    jobs = together(size, lambda job: share(job, work)) if size > 1 else [alone(work)]
    assert [(type(error), error.message, error.hint) for error in jobs] == [
        (DatasetError, "seven is bad", "Mend it.")
    ] * size
    assert before == list(range(7))


def alone(work):
    try:
        share(Job(), work)
    except DatasetError as error:
        return error


def test_the_first_one_may_go_on_after_an_error():
    def work(pool):
        with pytest.raises(DatasetError):
            list(pool.map_ordered(refuse_seven, range(20), never, chunk=4))
        return sum(pool.map_ordered(abs, range(20), never))

    assert together(2, lambda job: share(job, work)) == [190, 190]


def test_workers_that_cannot_be_counted_are_an_error_for_all(monkeypatch):
    monkeypatch.setenv("MEDGAN_WORKERS", "none")
    errors = together(2, lambda job: share(job, lambda pool: list(pool.map_ordered(abs, [1, 2], never))))
    assert [type(error) for error in errors] == [PlanError, PlanError]
    assert together(2, lambda job: job.first(lambda: 7)) == [7, 7]


def test_the_first_process_works_alone_and_all_get_its_result_or_its_error():
    called = []

    def work(rank):
        called.append(rank)
        return rank

    assert together(3, lambda job: job.first(lambda: work(job.processes.rank))) == [0, 0, 0]
    assert called == [0]

    def refuse():
        raise DatasetError("no")

    assert [str(error) for error in together(2, lambda job: job.first(refuse))] == ["no", "no"]


def test_what_the_first_one_leads_may_call_other_stages():
    def stage(job):
        return job.first(lambda: share(job, lambda pool: list(pool.map_ordered(where, range(4), never))))

    def work(job):
        assert job.alone
        assert job.each(lambda: job.processes.rank) == 0
        assert job.collect("mine") == ["mine"]
        assert list(job.relay(iter("ab"))) == ["a", "b"]
        return stage(job)

    first, second = together(2, lambda job: job.first(lambda: work(job)))
    assert first == second
    assert len({thread for _, thread in first}) == 2  # the other process has helped
    assert [together(2, lambda job: job.alone), Job().alone] == [[False, False], True]


def test_each_does_its_own_and_fails_with_the_others():
    assert together(3, lambda job: job.each(lambda: job.processes.rank)) == [0, 1, 2]

    def refuse_second(job):
        if job.processes.rank == 1:
            raise DatasetError("the second has no room")

    made = together(3, lambda job: job.each(lambda: refuse_second(job)))
    assert [str(error) for error in made] == ["the second has no room"] * 3


def test_all_know_what_each_has():
    assert together(3, lambda job: job.collect(job.processes.rank * 10)) == [[0, 10, 20]] * 3
    assert Job().collect("mine") == ["mine"]


def test_what_the_first_one_reads_is_relayed_to_all():
    def things(job):
        return iter("abc" if job.processes.is_first else "")

    assert together(2, lambda job: list(job.relay(things(job)))) == [["a", "b", "c"]] * 2
    assert list(Job().relay(iter("abc"))) == ["a", "b", "c"]

    broken = together(2, lambda job: list(job.relay(map(refuse_seven, range(5, 9)))))
    assert [str(error) for error in broken] == ["seven is bad"] * 2


def lose_the_last(item):
    if item > 20 and HERE.rank == 2:
        raise Lost
    return item


def lose_the_first(item):
    if item > 20 and HERE.rank == 0:
        raise Lost
    return item


@pytest.mark.parametrize(("function", "lost"), [(lose_the_first, 0), (lose_the_last, 2)])
def test_nobody_waits_for_a_process_that_is_gone(function, lost):
    def work(pool):
        return list(pool.map_ordered(function, range(90), never, chunk=4))

    made = together(3, lambda job: share(job, work))
    assert made[lost] is None
    assert [type(error) for rank, error in enumerate(made) if rank != lost] == [JobError, JobError]


def kill_some(item):
    if item in FATAL:
        os.kill(os.getpid(), signal.SIGSEGV)
    return item, os.getpid()


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="no signals there")
def test_an_item_that_kills_its_worker_costs_no_process_even_where_each_has_few(monkeypatch):
    monkeypatch.setenv("MEDGAN_WORKERS", "2")
    made = together(2, lambda job: share(job, lambda pool: [*pool.map_ordered(kill_some, MANY, lost_item)]))
    assert made[0] == made[1]
    assert [item for item, _ in made[0]] == [-item if item in FATAL else item for item in MANY]
    assert os.getpid() not in {process for _, process in made[0]}
