"""20,000 damaged DICOM and NIfTI files through both readers; run by `make bench NAME=fuzz`.

MEDGAN_FUZZ names another number, MEDGAN_FUZZ_FROM another first mutant. What breaks a promise is left in a
folder that is named.
"""

import os
import tempfile
import time
from collections import Counter
from pathlib import Path

from medgan.dataset.index import index
from medgan.dataset.source import Source
from tests.scans.fuzzing import outcomes
from tests.scans.mutants import mutant

FIRST = int(os.environ.get("MEDGAN_FUZZ_FROM", "0"))
NUMBERS = range(FIRST, FIRST + int(os.environ.get("MEDGAN_FUZZ", "20000")))


def test_no_mutant_breaks_a_promise():
    folder = Path(tempfile.mkdtemp(prefix="medgan-fuzz-"))
    began, verdicts, findings, slowest, peak = time.monotonic(), Counter(), [], (0.0, 0), 0
    for outcome in outcomes(NUMBERS, folder):
        verdicts[outcome.pixels or outcome.header] += 1
        slowest, peak = max(slowest, (outcome.seconds, outcome.number)), max(peak, outcome.peak)
        if outcome.finding:
            findings.append(outcome)
            print(f"{outcome.number} ({mutant(outcome.number).origin}): {outcome.finding}", flush=True)
    print(
        f"\n{len(NUMBERS):,} mutants in {time.monotonic() - began:.0f} s; slowest {slowest[0]:.2f} s of "
        f"processor (mutant {slowest[1]}); peak {peak >> 20} MiB"
    )
    print("\n".join(f"  {number:6,} {verdict}" for verdict, number in verdicts.most_common()))
    assert not findings, f"left in {folder}"


def test_a_folder_of_mutants_has_a_verdict_per_file(tmp_path):
    """Through the whole index, with what reads them together."""
    for number in NUMBERS[:1000]:
        made = mutant(number)
        home = tmp_path / "data" / "ab"[number % 2] / str(number)
        home.mkdir(parents=True)
        for name, data in made.files.items():
            (home / name).write_bytes(data)
    files = sum(path.is_file() for path in (tmp_path / "data").rglob("*"))
    manifest = index(Source(path=tmp_path / "data"))
    print(f"\n{files} files: {manifest.verdicts()}")
    assert sum(manifest.verdicts().values()) == files
