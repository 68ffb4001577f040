"""Other programs that judge what medgan writes, and a server that receives it."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

PATIENCE = 30
"""Seconds for a server to listen, or to store what it took."""


def tool(name: str, package: str) -> str:
    """Where a program is; without it the test skips."""
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed (Debian package {package})")
    return found


@contextmanager
def serving(folder: Path, *words: str) -> Iterator[int]:
    """The port of a storescp that stores into `folder`, started with `words` or in the plainest way."""
    storescp = tool("storescp", "dcmtk")
    folder.mkdir()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    options = words or ("--output-directory", str(folder))
    server = subprocess.Popen(
        [storescp, *options, str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        listening(port, server)
        yield port
    finally:
        server.terminate()
        server.wait(timeout=PATIENCE)


def listening(port: int, server: subprocess.Popen[bytes]) -> None:
    """Wait until the port answers."""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        assert server.poll() is None, "storescp ended by itself"
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise AssertionError("storescp does not listen")
