"""Training from a stack three times as large as the memory it may use, beside one that lies in memory.

Run by `make bench NAME=stack`.

Two processes train alike, in turns, each from a file of its own. The one is in a control group whose limit
counts the pages of its file too, and its file is not in the cache at the start; the other's file is. Linux
only, and the user must be allowed to make a control group.
"""

import os
import resource
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

LIMIT_MIB = int(os.environ.get("MEDGAN_BENCH_LIMIT", "900"))
"""Memory of the capped process; training itself takes some 650."""
TIMES = 3
SIZE = 64
ROUNDS, STEPS = 7, 4
ROOT = Path(__file__).parents[2]
WORKER = "from tests.benchmarks.bench_stack import work; work()"


def own_group():
    """The folder of this process's memory control group (version 1 or 2), or None."""
    for line in Path("/proc/self/cgroup").read_text(encoding="utf-8").splitlines():
        number, kinds, path = line.split(":", 2)
        if "memory" in kinds.split(","):
            return Path("/sys/fs/cgroup/memory") / path.lstrip("/")
        if number == "0" and Path("/sys/fs/cgroup/cgroup.controllers").exists():
            return Path("/sys/fs/cgroup") / path.lstrip("/")
    return None


@contextmanager
def capped(limit):
    """A control group below our own that may use `limit` bytes of memory, file pages included, or a skip."""
    above = own_group()
    if above is None:
        pytest.skip("this system has no memory control groups")
    place = above / f"medgan-bench-{os.getpid()}"
    try:
        place.mkdir()
        first = "memory.max" if (place / "memory.max").exists() else "memory.limit_in_bytes"
        (place / first).write_text(str(limit))
    except OSError as error:
        pytest.skip(f"no control group can be made here ({error})")
    try:
        yield place
    finally:
        place.rmdir()


def most_used(group):
    """The most memory that the group has had."""
    names = ("memory.peak", "memory.max_usage_in_bytes")
    return next(int((group / name).read_text()) for name in names if (group / name).exists())


def write_stack(path, count):
    """`count` rows of noise about a class's mean, flushed and put out of the page cache."""
    chance = np.random.default_rng(0)
    block = chance.integers(0, 1 << 16, (256, 1, SIZE, SIZE), np.uint16)
    with path.open("wb") as stream:
        shape = (count, 1, SIZE, SIZE)
        np.lib.format.write_array_header_1_0(stream, {"descr": "<u2", "fortran_order": False, "shape": shape})
        for start in range(0, count, len(block)):
            stream.write(np.roll(block, start % 251, axis=-1)[: count - start].tobytes())
        stream.flush()
        os.fsync(stream.fileno())
        os.posix_fadvise(stream.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def work():
    """In a process: train a round from the given file for every line on stdin, and print what it took."""
    import torch

    from medgan.learners.gan.steps import GanState, update
    from medgan.plan import Overrides, decide
    from medgan.preparation.stack import Stack
    from medgan.training.batches import TrainingRows, batch_at, class_images, prefetch_at
    from medgan.training.runtime import Runtime, reseed
    from tests.test_plan import facts

    torch.set_num_threads(1)
    pixels = np.load(sys.argv[1], mmap_mode="r")
    if sys.argv[2] == "warm":
        for start in range(0, len(pixels), 4096):
            pixels[start : start + 4096].max()
    count = len(pixels)
    sizes = {"rows": (SIZE,) * 3, "columns": (SIZE,) * 3}
    training = {"normal": count - count // 10, "rare": count // 10}
    plan = decide(facts(**sizes, training=training), Overrides(size=(SIZE, SIZE), device="cpu"))
    labels = (np.arange(count) % 10 == 0).astype(np.int64)
    nothing = np.zeros(count, np.int64)
    stack = Stack(
        pixels=pixels,
        labels=labels,
        names=plan.frame.labels,
        records=nothing,
        patients=nothing.astype(str),
        slices=nothing,
        digest="",
    )
    pool = TrainingRows.of(stack)
    reseed(0, -1)
    runtime = Runtime("cpu", "fp32")
    learners, shown = GanState(plan, runtime, class_images(pool, plan)), 0
    for line in sys.stdin:
        before, began, fed = resource.getrusage(resource.RUSAGE_SELF), time.monotonic(), 0.0
        for _ in range(int(line)):
            start = time.monotonic()
            images, classes = batch_at(pool, plan, 1.0, (int(sys.argv[3]), shown))
            prefetch_at(pool, plan, 1.0, (int(sys.argv[3]), shown + plan.budget.batch))
            fed += time.monotonic() - start
            update(learners, runtime.tensor(images), runtime.tensor(classes), shown)
            shown += plan.budget.batch
        seconds, after = time.monotonic() - began, resource.getrusage(resource.RUSAGE_SELF)
        busy = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        images = int(line) * plan.budget.batch
        faults = (after.ru_majflt - before.ru_majflt) / images
        print(images / seconds, images / busy, 1000 * fed / images, faults, flush=True)


@contextmanager
def worker(path, state, seed, group=None):
    """A process that trains from `path` when asked to; in `group` from before it has opened anything."""

    def join():
        if group is not None:
            (group / "cgroup.procs").write_text(str(os.getpid()))

    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", WORKER, str(path), state, str(seed)]
    with subprocess.Popen(
        command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, preexec_fn=join
    ) as job:
        yield lambda steps: asked(job, steps)
        job.stdin.close()


def asked(job, steps):
    """One round: images/s by the wall clock and by processor time, ms of feeding and disk reads an image."""
    job.stdin.write(f"{steps}\n")
    job.stdin.flush()
    return [float(word) for word in job.stdout.readline().split()]


@pytest.mark.skipif(sys.platform != "linux", reason="control groups are Linux's")
def test_a_stack_larger_than_memory_trains_as_fast(tmp_path):
    limit = LIMIT_MIB << 20
    count = -(-TIMES * limit // (2 * SIZE * SIZE))
    for name in ("large", "warm"):
        write_stack(tmp_path / name, count)
    rounds = {"large": [], "warm": []}
    with (
        capped(limit) as group,
        worker(tmp_path / "warm", "warm", 1) as warm,
        worker(tmp_path / "large", "cold", 1, group) as large,
    ):
        for number in range(ROUNDS + 1):
            for name, ask in (("large", large), ("warm", warm)):
                told = ask(STEPS)
                rounds[name] += [told] if number else []  # the first is for warming up
        used = most_used(group) / 2**20
    print(
        f"\n{count:,} images of {SIZE} px, {count * 2 * SIZE * SIZE / 2**20:,.0f} MiB; limit {LIMIT_MIB} "
        f"MiB, most used {used:.0f}"
    )
    table = {name: np.array(values) for name, values in rounds.items()}
    for name, values in table.items():
        wall, busy, fed, faults = np.median(values, axis=0)
        print(
            f"{name}: {wall:.1f} images/s by the wall clock, {busy:.1f} by processor time, {fed:.2f} ms of "
            f"feeding and {faults:.2f} reads from disk per image"
        )
    for what, column in (("wall clock", 0), ("processor time", 1)):
        ratios = table["large"][:, column] / table["warm"][:, column]
        print(
            f"larger than memory / in memory, by {what}: {np.median(ratios):.2f} ({ratios.min():.2f} to "
            f"{ratios.max():.2f})"
        )
