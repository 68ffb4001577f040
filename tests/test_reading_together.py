"""Two processes, as torchrun starts them, read half of the files each, and their result is that of one."""

import json
import os
import signal
import time
from collections import Counter

import pytest

from medgan.base import cache
from tests import jobs
from tests.commands.blobs import discs

pytestmark = pytest.mark.slow
TINY = ["--size", "16x24", "--device", "cpu", "--json"]

COMMAND = """
import os, sys
from pathlib import Path
rank, folder = os.environ.get("RANK", "0"), Path(sys.argv[1])
if "own-cache" in sys.argv[2]:
    os.environ["MEDGAN_CACHE"] += "-" + rank
opened = (folder / f"opened-{rank}").open("a", buffering=1)
def count(event, arguments):
    if event == "open" and "/discs/" in str(arguments[0]):
        opened.write(Path(arguments[0]).name + "\\n")
        if (folder / "slowly").exists():
            __import__("time").sleep(0.2)
sys.addaudithook(count)
sys.argv[1:] = sys.argv[3:]
from medgan.__main__ import main
main()
"""
"""A command that writes which scans it opens."""


@pytest.fixture
def source(tmp_path, monkeypatch):
    """30 and 20 images, one of them damaged and one in two classes, old enough for the cache."""
    monkeypatch.setenv("MEDGAN_WORKERS", "1")
    source = discs(tmp_path / "discs", normal=30, mass=20)
    (source.path / "mass" / "scan3.png").write_bytes(b"not an image at all")
    same = (source.path / "mass" / "scan7.png").read_bytes()
    (source.path / "normal" / "scan7.png").write_bytes(same)
    (source.path / "readme.txt").write_text("words", encoding="utf-8")
    for path in source.path.rglob("*.*"):
        os.utime(path, (1e9, 1e9))
    time.sleep(2.1)
    return source.path


def run(size, folder, *words, caches="one-cache"):
    """(what each of `size` processes said, which scans each opened), with an empty cache."""
    folder.mkdir(exist_ok=True)
    for path in folder.glob("opened-*"):
        path.unlink()
    ended = jobs.finish(jobs.start(size, "-c", COMMAND, folder, caches, *words))
    opened = [(folder / f"opened-{rank}").read_text().split() for rank in range(size)]
    return ended, list(map(Counter, opened))


def test_an_inspection_by_two_is_that_of_one_and_each_opens_half(source, tmp_path, monkeypatch):
    monkeypatch.setenv("MEDGAN_CACHE", str(tmp_path / "cache-of-one"))
    ((alone, _),), (all_files,) = run(1, tmp_path / "one", "inspect", source, "--json", "--files")
    monkeypatch.setenv("MEDGAN_CACHE", str(tmp_path / "cache-of-two"))
    words = ["inspect", source, "--json", "--files"]
    ((first, _), (second, nothing)), opened = run(2, tmp_path / "two", *words)
    report = json.loads(first)
    assert first == alone
    assert second == nothing == ""
    assert report["verdicts"]["error:label-conflict"] == 2
    assert opened[0] + opened[1] == all_files
    assert abs(opened[0].total() - opened[1].total()) <= 0.1 * all_files.total()
    ((again, _), _), known = run(2, tmp_path / "two", *words)
    assert again == alone
    assert sum(known, Counter()).total() < 0.1 * all_files.total()


def stack(place):
    """{name: bytes} of the prepared stack in a cache, with its rows and checksums."""
    (folder,) = (place / cache.STACKS).glob("stack-*")
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_stack_prepared_by_two_is_that_of_one_in_every_cache(source, tmp_path, monkeypatch):
    words = ["train", source, "--images", "32", "--batch", "16", *TINY]
    monkeypatch.setenv("MEDGAN_CACHE", str(tmp_path / "alone"))
    _, (all_files,) = run(1, tmp_path / "one", *words, "--out", tmp_path / "run-1")
    expected = stack(tmp_path / "alone")
    assert set(expected) == {"pixels.npy", "sums", "rows.json"}
    for caches, places in {"one-cache": ["one-cache"], "own-cache": ["own-cache-0", "own-cache-1"]}.items():
        monkeypatch.setenv("MEDGAN_CACHE", str(tmp_path / caches))
        out = tmp_path / f"run-{caches}"
        ended, opened = run(2, tmp_path / "two", *words, "--out", out, caches=caches)
        assert json.loads(ended[0][0])["images_shown"] == 32
        assert ended[1][0] == ""
        assert opened[0] + opened[1] == all_files  # nothing twice, whether or not they share a cache
        assert abs(opened[0].total() - opened[1].total()) <= 0.1 * all_files.total()
        assert [stack(tmp_path / place) for place in places] == [expected] * len(places)


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system has no kill -9")
@pytest.mark.parametrize("lost", [0, 1])
def test_a_process_that_dies_while_files_are_read_leaves_nobody_waiting(source, tmp_path, lost):
    (tmp_path / "slowly").touch()
    started = jobs.start(2, "-c", COMMAND, tmp_path, "one-cache", "inspect", source)
    log, began = tmp_path / f"opened-{lost}", time.monotonic()
    while not log.exists() or len(log.read_text().split()) < 3:
        assert time.monotonic() - began < jobs.PATIENCE
        time.sleep(0.05)
    started[lost].kill()
    started[lost].communicate()
    other = started[1 - lost]
    _, words = other.communicate(timeout=120)
    assert other.returncode not in {0, None}
    assert lost == 0 or "another process of this job has ended unexpectedly" in words
