"""Fixtures that several rooms share: small data sets cut from the generated sample data."""

import os
import shutil
from pathlib import Path

import pytest

# Before torch is loaded: images of a few pixels are drawn faster by one thread than by several that wait for each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

ROOT = Path(__file__).parents[1]
CHEST = ROOT / "sample_data" / "chest_ct"


@pytest.fixture
def scans(tmp_path):
    """A folder of CT slices: 8 normal, 4 mass; two slices per patient."""
    return cut_sample(tmp_path / "scans", {"normal": 8, "mass": 4})


@pytest.fixture(scope="session")
def cut_scans(tmp_path_factory):
    """The same, made once, for tests that only read it."""
    return cut_sample(tmp_path_factory.mktemp("data") / "scans", {"normal": 8, "mass": 4})


def cut_sample(out, counts):
    """Copy the first files of some classes of the sample data."""
    for label, count in counts.items():
        (out / label).mkdir(parents=True)
        for path in sorted((CHEST / label).iterdir())[:count]:
            shutil.copy(path, out / label)
    return out
