import pytest

from medgan.base.processes import Processes, current_processes

TORCHRUN = {"RANK": "5", "WORLD_SIZE": "8", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "4"}


@pytest.fixture
def torchrun(monkeypatch):
    for name, value in TORCHRUN.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "job")
    return monkeypatch


def test_a_process_on_its_own_is_the_first_of_one(monkeypatch):
    monkeypatch.delenv("TORCHELASTIC_RUN_ID", raising=False)
    assert current_processes() == Processes(rank=0, size=1, local_rank=0, local_size=1)
    assert current_processes().is_first


def test_torchrun_says_which_process_this_is(torchrun):
    assert current_processes() == Processes(rank=5, size=8, local_rank=1, local_size=4)
    assert not current_processes().is_first


def test_words_of_another_launcher_are_not_taken_for_those_of_torchrun(torchrun):
    torchrun.delenv("TORCHELASTIC_RUN_ID")
    assert current_processes() == Processes()


@pytest.mark.parametrize("count", [0, 1, 7, 8, 30])
def test_everything_in_a_row_is_the_share_of_one_process(count):
    row = list(range(count))
    shares = [row[Processes(rank=rank, size=4).share(count)] for rank in range(4)]
    assert [item for share in shares for item in share] == row
    assert max(map(len, shares)) - min(map(len, shares)) <= 1
