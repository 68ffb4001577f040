"""Jobs of several processes on this machine, told of each other over loopback as torchrun would do."""

import os
import socket
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
PATIENCE = 600
"""Seconds after which a process that does not end has failed."""


def told(rank, size, port):
    """The environment of one process of a job."""
    numbers = {
        "RANK": rank,
        "WORLD_SIZE": size,
        "LOCAL_RANK": rank,
        "LOCAL_WORLD_SIZE": size,
        "GROUP_RANK": 0,
        "GROUP_WORLD_SIZE": 1,
        "MASTER_PORT": port,
        "OMP_NUM_THREADS": 1,
        "PYTHONPATH": ROOT,
    }
    words = {name: str(value) for name, value in numbers.items()}
    return {**os.environ, **words, "TORCHELASTIC_RUN_ID": "test", "MASTER_ADDR": "127.0.0.1"}


def start(size, *words):
    """`size` processes of `python <words>`, begun together."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, *map(str, words)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "cwd": ROOT}
    return [subprocess.Popen(command, env=told(rank, size, port), **pipes) for rank in range(size)]


def finish(jobs):
    """(stdout, stderr) of each process, once all have ended well."""
    ended = [job.communicate(timeout=PATIENCE) for job in jobs]
    assert [job.returncode for job in jobs] == [0] * len(jobs), "\n".join(err for _, err in ended)
    return ended
