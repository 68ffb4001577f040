"""Several classifiers at once: results in order, one core each, and an end for all when one fails."""

import threading
import time

import pytest
import torch

from medgan.evaluation.usefulness.parallel import check_not_stopped, run_at_once


def test_results_come_in_the_order_of_tasks(threads):
    def after(seconds):
        time.sleep(seconds)
        return seconds

    waits = [0.05, 0.0, 0.02]
    assert run_at_once([lambda one=one: after(one) for one in waits]) == waits
    assert run_at_once([]) == []


def test_as_many_work_at_once_as_there_are_threads_each_on_one(threads):
    meeting = threading.Barrier(threads, timeout=20)

    def meet():
        meeting.wait()
        return torch.get_num_threads()

    assert run_at_once([meet] * (2 * threads)) == [1] * (2 * threads)


def test_when_one_fails_the_others_end():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    began, ended = threading.Event(), threading.Event()

    def endless():
        began.set()
        try:
            while True:
                check_not_stopped()
                time.sleep(0.001)
        except InterruptedError:
            ended.set()
            raise

    def fail():
        began.wait(20)
        raise ValueError("no")

    try:
        with pytest.raises(ValueError, match="no"):
            run_at_once([fail, endless])
        assert ended.is_set()
        check_not_stopped()  # and those that come after are not asked to end
    finally:
        torch.set_num_threads(before)
