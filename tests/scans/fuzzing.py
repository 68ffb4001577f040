"""Read numbered mutants in child processes, since a decoder in C can end its own.

A child reads one mutant after the other under three limits: `MEMORY` beyond what it has after its imports,
`SECONDS` of processor time per file, and a minute of waiting. A child that breaks one of the last two is
ended by a signal, and a new one continues behind the file that did it.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from medgan.base.errors import ScanError
from medgan.scans import formats
from medgan.scans.scan import Header, Scan
from tests.scans.mutants import Mutant, mutant

ROOT = Path(__file__).parents[2]
MEMORY = 2 << 30
"""Bytes of address space that a child may take while it reads."""
SECONDS = 2.0
PATIENCE = 60
OK = "ok"
ENDS = {signal.SIGPROF: "hang", signal.SIGALRM: "hang"}


@dataclass(frozen=True)
class Outcome:
    """What became of one mutant."""

    number: int
    header: str
    """The verdict of `read_header`; "ok" for a Header."""
    pixels: str
    """The verdict of `read`."""
    seconds: float = 0.0
    """Of processor, for both."""
    peak: int = 0
    """Bytes that the child had at most until then, beyond its beginning."""
    finding: str = ""
    """What must not be: "crash SIGSEGV", "hang", "memory", or the promise that was broken."""


def outcomes(numbers: range, folder: Path) -> Iterator[Outcome]:
    """What becomes of every mutant; those with a finding are left in `folder`."""
    while numbers:
        command = [
            sys.executable,
            "-m",
            "tests.scans.fuzzing",
            str(numbers.start),
            str(numbers.stop),
            str(folder),
        ]
        environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
        with subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        ) as child:
            assert child.stdout is not None
            for line in child.stdout:
                found = Outcome(**json.loads(line))
                yield found
                numbers = range(found.number + 1, numbers.stop)
        if numbers and child.returncode <= 0:
            how = signal.Signals(-child.returncode) if child.returncode else None
            yield Outcome(
                numbers.start, "", "", finding=ENDS.get(how, f"crash {how.name}") if how else "exit"
            )
            numbers = numbers[1:]
        assert child.returncode <= 0, f"the child failed at {numbers}"


def main(start: str, stop: str, folder: str) -> None:
    """The child: one line of JSON per mutant."""
    signal.setitimer(signal.ITIMER_PROF, 0)
    mutant(0)  # makes the seeds, with everything that has to be imported for them
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (held("VmSize") + MEMORY, resource.RLIM_INFINITY))
    before = held("VmRSS")
    for number in range(int(start), int(stop)):
        made = mutant(number)
        home = Path(folder) / str(number)
        path = laid(made, home)
        signal.setitimer(signal.ITIMER_PROF, SECONDS)
        signal.alarm(PATIENCE)
        began = time.process_time()
        header, pixels, finding = judged(path)
        seconds = time.process_time() - began
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.alarm(0)
        peak = max(held("VmHWM") - before, 0)
        print(  # noqa: T201  (to the parent)
            json.dumps(asdict(Outcome(number, header, pixels, round(seconds, 4), peak, finding))), flush=True
        )
        if not finding:
            for file in home.iterdir():
                file.unlink()
            home.rmdir()


def laid(made: Mutant, home: Path) -> Path:
    """The files of a mutant on disk; the one to read."""
    home.mkdir(parents=True, exist_ok=True)
    for name, data in made.files.items():
        (home / name).write_bytes(data)
    return home / made.name


def held(field: str) -> int:
    """Bytes of this process, by a field of /proc/self/status."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith(f"{field}:"))) << 10


def judged(path: Path) -> tuple[str, str, str]:
    """Verdict on the header, verdict on the pixels, broken promise."""
    try:
        header, said = attempt(formats.read_header, path)
        scan, told = attempt(formats.read, path)
    except Exception as error:  # noqa: BLE001  (whatever it is, it is the finding)
        return "", "", f"{type(error).__name__}: {error}"
    finding = ""
    if "memory" in (said[1], told[1]):
        finding = "memory"
    elif isinstance(scan, Scan) and isinstance(
        header, Header
    ):  # a header may be refused for what pixels do not need
        finding = broken(scan, header)
    return said[0], told[0], finding


def attempt(read: object, path: Path) -> tuple[object, tuple[str, str]]:
    """What a reader gives, (verdict, "memory" where that ran out)."""
    assert callable(read)
    try:
        return read(path), (OK, "")
    except ScanError as error:
        return None, (error.verdict, "memory" if isinstance(error.__cause__, MemoryError) else "")


def broken(scan: Scan, header: Header) -> str:
    """The promise of `Scan` that a scan does not keep; "" for none."""
    promises = {
        "float32": scan.pixels.dtype == np.float32,
        "shape": scan.pixels.shape == header.shape + ((3,) if header.channels == 3 else ()),
        "pixels": scan.pixels.size > 0,
        "finite": bool(np.isfinite(scan.pixels).all()),
        "spacing": scan.spacing_mm is None or all(0 <= side < np.inf for side in scan.spacing_mm),
        "bits": 1 <= scan.bits <= 64,
    }
    return ", ".join(name for name, kept in promises.items() if not kept)


if __name__ == "__main__":
    main(*sys.argv[1:])
