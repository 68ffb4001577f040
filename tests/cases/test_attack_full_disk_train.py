"""A full disk is reported as one whatever is being written; the same command goes on once there is room."""

import errno
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch

from medgan.base import files
from medgan.base.errors import OutputError
from medgan.commands.train import train
from medgan.learners.gan.model import Model
from medgan.plan import Overrides
from medgan.training import runtime
from medgan.training.runtime import Journal, save_checkpoint
from medgan.training.tensorboard_log import TensorBoardLog
from tests.commands.blobs import discs

QUICK = Overrides(effort="smoke", size=(16, 24), images=32, batch=8, device="cpu", features="none")
STATE = {"weights": torch.zeros(500_000), "images_shown": 3}


@pytest.fixture
def full(monkeypatch):
    """Files are made, and take nothing: /dev/full says ENOSPC to every write."""
    if not os.path.exists("/dev/full"):  # noqa: PTH110  # no path of ours
        pytest.skip("this system has no /dev/full")
    opened = Path.open

    def into_nothing(path, mode="r", *rest, **more):
        if "x" in mode:
            opened(path, mode).close()
            return opened(Path("/dev/full"), "wb", *rest, **more)
        return opened(path, mode, *rest, **more)

    monkeypatch.setattr(Path, "open", into_nothing)


@pytest.mark.usefixtures("full")
def test_a_training_state_on_a_full_disk(tmp_path):
    with pytest.raises(OutputError, match=r"state\.pt: the disk is full") as caught:
        save_checkpoint(tmp_path / "state.pt", STATE)
    assert "it continues" in caught.value.hint
    assert not [*tmp_path.iterdir()]


@pytest.mark.usefixtures("full")
def test_a_state_that_fits_a_buffer_fails_as_it_is_flushed(tmp_path):
    with pytest.raises(OutputError, match="the disk is full"):
        save_checkpoint(tmp_path / "state.pt", {"images_shown": 3})


def test_the_state_that_was_there_stays(tmp_path, request):
    save_checkpoint(tmp_path / "state.pt", {"images_shown": 1})
    request.getfixturevalue("full")
    with pytest.raises(OutputError):
        save_checkpoint(tmp_path / "state.pt", STATE)
    assert runtime.load_checkpoint(tmp_path / "state.pt") == {"images_shown": 1}


def test_what_is_wrong_with_the_state_itself_is_not_taken_for_a_full_disk(tmp_path, monkeypatch):
    def broken(*_):
        raise RuntimeError("torch's own")

    monkeypatch.setattr(torch, "save", broken)
    with pytest.raises(RuntimeError, match="torch's own"):
        save_checkpoint(tmp_path / "state.pt", STATE)


@pytest.mark.usefixtures("full")
def test_a_model_on_a_full_disk(tmp_path):
    for write in (files.write_json, lambda path, _: files.write_bytes(path, b"weights")):
        with pytest.raises(OutputError, match="the disk is full"):
            write(tmp_path / "model.json", {"a": 1})


def test_a_log_line_on_a_full_disk():
    if not os.path.exists("/dev/full"):  # noqa: PTH110  # no path of ours
        pytest.skip("this system has no /dev/full")
    with pytest.raises(OutputError, match="the disk is full"):
        Journal(Path("/dev/full")).add({"images_shown": 1})


def test_a_tensorboard_on_a_full_disk(tmp_path, monkeypatch):
    pytest.importorskip("tensorboard")
    board = TensorBoardLog(tmp_path)

    def refuse(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(board.writer, "flush", refuse)
    with pytest.raises(OutputError, match="the disk is full"):
        board.add({"images_shown": 1}, np.zeros((4, 4), np.float32))


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root mounts a small disk")
@pytest.mark.parametrize("size", ["100k", "1m", "4m"])
def test_a_run_on_a_small_disk_is_told_and_goes_on_where_there_is_room(tmp_path, size):
    scans, disk = discs(tmp_path / "scans", normal=6, covid=4), tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(disk)]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("this system lets nobody mount")
    try:
        with pytest.raises(OutputError, match="the disk is full"):
            train(scans, disk / "run", overrides=QUICK)
        subprocess.run(["mount", "-o", "remount,size=100m", str(disk)], check=True)
        again = train(scans, disk / "run", overrides=QUICK).model_digest
        assert Model.load(disk / "run").digest == again
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)
    assert train(scans, tmp_path / "straight", overrides=QUICK).model_digest == again
