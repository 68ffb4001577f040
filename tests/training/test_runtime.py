from __future__ import annotations

import pickle
import subprocess
import sys

import pytest
import torch

from medgan.base.errors import ModelError, PlanError
from medgan.base.processes import Processes
from medgan.training import runtime
from medgan.training.runtime import (
    Journal,
    Runtime,
    _fabric_arguments,
    choose_device,
    explain_gpu_errors,
    load_checkpoint,
    random_per_image,
    reseed,
    save_checkpoint,
)
from medgan.training.tensorboard_log import TensorBoardLog


def test_chance_follows_seed_and_position():
    reseed(1, 64)
    first = torch.rand(3)
    torch.rand(100)
    reseed(1, 64)
    assert torch.equal(torch.rand(3), first)
    reseed(1, 65)
    assert not torch.equal(torch.rand(3), first)


def test_an_image_gets_the_same_numbers_whichever_process_it_is_in(monkeypatch):
    def numbers(rank, size):
        monkeypatch.setattr(
            "medgan.training.runtime.current_processes", lambda: Processes(rank=rank, size=size)
        )
        reseed(1, 64)
        return torch.cat([random_per_image(lambda n: torch.rand(n, 3), 12 // size) for _ in range(2)], dim=1)

    alone = numbers(0, 1)
    assert torch.equal(torch.cat([numbers(rank, 3) for rank in range(3)]), alone)


def test_more_processes_than_devices_are_refused(monkeypatch):
    monkeypatch.setattr(
        "medgan.training.runtime.current_processes", lambda: Processes(size=64, local_size=64)
    )
    with pytest.raises(PlanError, match="64 processes on this machine need 64 CUDA devices") as caught:
        _fabric_arguments("cuda")
    assert "--device cpu" in caught.value.hint


def test_checkpoint_that_holds_code_is_refused(tmp_path):
    class Evil:
        def __reduce__(self):
            return (print, ("code ran",))

    (tmp_path / "state.pt").write_bytes(pickle.dumps(Evil()))
    with pytest.raises(ModelError, match="cannot be read"):
        load_checkpoint(tmp_path / "state.pt")


def test_checkpoint_comes_back_equal(tmp_path):
    save_checkpoint(tmp_path / "state.pt", {"weights": torch.arange(3.0), "images_shown": 7})
    state = load_checkpoint(tmp_path / "state.pt")
    assert state["images_shown"] == 7
    assert torch.equal(state["weights"], torch.arange(3.0))


def test_journal_forgets_what_came_after_the_checkpoint(tmp_path):
    journal = Journal(tmp_path / "log.jsonl")
    for shown in (10, 20, 30):
        journal.add({"images_shown": shown})
    journal.rewind(20)
    assert [row["images_shown"] for row in journal.lines()] == [10, 20]
    journal.rewind(0)
    assert not journal.path.exists()
    journal.rewind(0)
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_absent_device_is_told_with_those_present():
    with pytest.raises(PlanError, match="no device 'cuda'") as caught:
        choose_device("cuda")
    assert "cpu" in caught.value.hint
    assert choose_device("auto") == "cpu"


def test_tensorboard_receives_numbers_and_grid(tmp_path):
    pytest.importorskip("tensorboard")
    board = TensorBoardLog(tmp_path)
    board.add({"images_shown": 8, "critic_loss": 0.5, "words": "fine"}, torch.zeros(4, 4).numpy())
    (event,) = tmp_path.iterdir()
    assert b"critic_loss" in event.read_bytes()


def test_absent_tensorboard_names_the_extra(tmp_path, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(PlanError) as caught:
        TensorBoardLog(tmp_path)
    assert "pip install tensorboard" in caught.value.hint


def test_drawing_does_not_wait_for_fabric():
    script = "import sys, medgan.learners.gan.sample; assert 'lightning_fabric' not in sys.modules"
    subprocess.run([sys.executable, "-c", script], check=True)


def test_a_process_alone_trains_whatever_a_scheduler_has_set(monkeypatch):
    for name, value in {"SLURM_JOB_ID": "1", "SLURM_JOB_NAME": "x", "SLURM_NTASKS": "4"}.items():
        monkeypatch.setenv(name, value)
    assert Runtime("cpu", "fp32").fabric.world_size == 1


def test_a_gpu_that_fails_while_it_replays_is_told_with_the_way_on(monkeypatch):
    monkeypatch.setattr(runtime, "can_replay", lambda _: True)
    with (
        pytest.raises(PlanError, match="replayed CUDA graphs: no kernel") as told,
        explain_gpu_errors(graphed=True),
    ):
        raise RuntimeError("no kernel\nand more")
    assert "--no-cuda-graphs" in told.value.hint
    with pytest.raises(RuntimeError, match="no kernel"), explain_gpu_errors(graphed=False):
        raise RuntimeError("no kernel")
    with pytest.raises(PlanError, match="GPU does not have enough memory"), explain_gpu_errors(graphed=True):
        raise torch.OutOfMemoryError
