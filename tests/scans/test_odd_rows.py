"""The table of odd scans is complete: every row has a case with its number."""

import re
import subprocess
import sys
from pathlib import Path

ROWS = 73
CASE = re.compile(r"\[(\d\d)-")


def test_every_row_of_the_table_has_a_case():
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider"]
    here = Path(__file__).parent
    tables = sorted(path for path in here.glob("test_odd_*.py") if path != Path(__file__))
    told = subprocess.run(
        [*command, *tables], cwd=here.parents[1], capture_output=True, text=True, check=True
    )
    assert {int(row) for row in CASE.findall(told.stdout)} == set(range(1, ROWS + 1))
