"""Several classifiers at once: results in order, one core each, and an end for all when one fails."""

import threading
import time

import pytest
import torch

from medgan.evaluation.parallel import go_on, one_thread, together


@pytest.fixture(params=[1, 3])
def threads(request):
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    assert torch.get_num_threads() == request.param
    torch.set_num_threads(before)


def test_results_come_in_the_order_of_tasks(threads):
    def after(seconds):
        time.sleep(seconds)
        return seconds

    waits = [0.05, 0.0, 0.02]
    assert together([lambda one=one: after(one) for one in waits]) == waits
    assert together([]) == []


def test_as_many_work_at_once_as_there_are_threads_each_on_one(threads):
    meeting = threading.Barrier(threads, timeout=20)

    def meet():
        meeting.wait()
        return torch.get_num_threads()

    assert together([meet] * (2 * threads)) == [1] * (2 * threads)


def test_when_one_fails_the_others_end():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    began, ended = threading.Event(), threading.Event()

    def endless():
        began.set()
        try:
            while True:
                go_on()
                time.sleep(0.001)
        except InterruptedError:
            ended.set()
            raise

    def fail():
        began.wait(20)
        raise ValueError("no")

    try:
        with pytest.raises(ValueError, match="no"):
            together([fail, endless])
        assert ended.is_set()
        go_on()  # and those that come after are not asked to end
    finally:
        torch.set_num_threads(before)


def test_one_thread_is_given_back_after_an_error(threads):
    def fail():
        with one_thread():
            assert torch.get_num_threads() == 1
            raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        fail()
