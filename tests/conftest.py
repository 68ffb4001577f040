"""Fixtures that several rooms share: small data sets cut from the generated sample data."""

import io
import itertools
import os
import sys
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.uid import ExplicitVRLittleEndian

# Before torch is loaded: images of a few pixels are drawn faster by one thread than by several that wait for
# each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

ROOT = Path(__file__).parents[1]
CHEST = ROOT / "sample_data" / "chest_ct"
CACHES = itertools.count()


@pytest.fixture(scope="session", autouse=True)
def cache_of_fixtures(tmp_path_factory):
    """Fixtures of whole modules keep their cache in this test session, never in the developer's own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MEDGAN_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))
        yield


@pytest.fixture(autouse=True)
def cache_of_test(tmp_path_factory, monkeypatch):
    """Every test and the processes it starts share an empty cache: a folder that does not exist yet."""
    place = tmp_path_factory.getbasetemp() / f"cache{next(CACHES)}"
    monkeypatch.setenv("MEDGAN_CACHE", str(place))
    return place


@pytest.fixture
def scans(tmp_path):
    """A folder of CT slices: 8 normal, 4 mass; two slices per patient."""
    return cut_sample(tmp_path / "scans", {"normal": 8, "mass": 4})


@pytest.fixture(scope="session")
def cut_scans(tmp_path_factory):
    """The same, made once, for tests that only read it."""
    return cut_sample(tmp_path_factory.mktemp("data") / "scans", {"normal": 8, "mass": 4})


@pytest.fixture(params=[1, 3])
def threads(request):
    """The number of threads that torch has, and must have again after the test."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    assert torch.get_num_threads() == request.param
    torch.set_num_threads(before)


def cut_sample(out, counts):
    """The first files of some classes of the sample data, at 64 x 64 pixels, which train in seconds."""
    for label, count in counts.items():
        (out / label).mkdir(parents=True)
        for path in sorted((CHEST / label).iterdir())[:count]:
            shrink(path, out / label / path.name)
    return out


def shrink(path, out, times=4):
    """Write a slice with so many times fewer rows and columns, each pixel the mean of those it replaces."""
    slice_ = dcmread(path)
    rows, columns = (side // times for side in slice_.pixel_array.shape)
    blocks = slice_.pixel_array.reshape(rows, times, columns, times)
    unseen = (blocks == slice_.PixelPaddingValue).any(axis=(1, 3))
    coarse = np.where(unseen, slice_.PixelPaddingValue, np.round(blocks.mean(axis=(1, 3))))
    slice_.PixelData = coarse.astype("<i2").tobytes()
    slice_.Rows, slice_.Columns = rows, columns
    slice_.PixelSpacing = [times * mm for mm in slice_.PixelSpacing]
    slice_.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    slice_.save_as(out)


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self):
        return True


@pytest.fixture
def on_terminal(monkeypatch):
    """Makes stderr a terminal of 80 columns; called inside tests, as pytest sets stderr before each phase."""

    def become():
        stream = Terminal()
        monkeypatch.setattr(sys, "stderr", stream)
        return stream

    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "80")
    return become
