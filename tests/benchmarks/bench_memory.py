"""Peak memory and seconds of looking at and preparing many small files; run by `make bench NAME=memory`.

20,000 of them, or MEDGAN_BENCH_FILES. The second look reads nothing anew.
"""

import io
import os
import resource
import subprocess
import sys
import time
from functools import cache

import numpy as np
import pytest
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

FILES = int(os.environ.get("MEDGAN_BENCH_FILES", "20000"))
LIMIT_MIB = 1024
INSPECT = (
    "import sys; from medgan.__main__ import main; sys.argv[1:] = ['inspect', sys.argv[1], '--json']; main()"
)
PREPARE = """
import sys
from pathlib import Path
from medgan.dataset.fingerprint import measure
from medgan.dataset.index import index
from medgan.dataset.source import Source
from medgan.plan import Overrides, decide_frame
from medgan.preparation.stack import prepare
manifest = index(Source(path=Path(sys.argv[1])))
frame = decide_frame(measure(manifest), Overrides(effort="quick"))
stack = prepare(manifest, frame, Path(sys.argv[2]))
assert len(stack) == int(sys.argv[3])
for _, images in stack.chunks():
    images.sum()
"""


MARK = b"1234567890"


def write_png(path, image):
    Image.fromarray(image).save(path.with_suffix(".png"))


def write_dicom(path, image):
    """The bytes of one slice with a name and pixels of its own: pydicom would take minutes for so many."""
    number = b"1" + path.name.encode().zfill(len(MARK) - 1)
    pixels = (image.astype("<u2") * 8).tobytes()
    path.with_suffix(".dcm").write_bytes(like_all().replace(MARK, number)[: -len(pixels)] + pixels)


@cache
def like_all():
    """A CT slice whose UIDs and patient end in MARK."""
    dataset = Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID = CTImageStorage, f"1.2.{MARK.decode()}"
    dataset.SeriesInstanceUID, dataset.PatientID = f"1.3.{MARK.decode()}", MARK.decode()
    dataset.Modality, dataset.Rows, dataset.Columns = "CT", 64, 64
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 12, 11, 0
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.RescaleSlope, dataset.RescaleIntercept, dataset.RescaleType = "1", "-1024", "HU"
    dataset.PixelSpacing, dataset.ImageType = ["5", "5"], ["ORIGINAL", "PRIMARY", "AXIAL"]
    dataset.ImageOrientationPatient = ["1", "0", "0", "0", "1", "0"]
    dataset.ImagePositionPatient = ["0", "0", "0"]
    dataset.PixelData = bytes(2 * 64 * 64)
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    stream = io.BytesIO()
    dataset.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


@pytest.fixture(params=[write_png, write_dicom], ids=["png", "dicom"], scope="module")
def scans(request, tmp_path_factory):
    """Images of 64 x 64 in two classes."""
    chance, place = np.random.default_rng(0), tmp_path_factory.mktemp("many") / "scans"
    for label in "ab":
        (place / label).mkdir(parents=True)
    for number in range(FILES):
        image = chance.integers(0, 256, (64, 64), np.uint8)
        request.param(place / "ab"[number % 2] / f"{number:05d}", image)
    time.sleep(2)  # younger files are not remembered
    return place


def measured(what, script, *words):
    """Run `script` in a process of its own; print and return its peak memory in MiB."""
    meter = f"import resource, sys\ntry:\n    exec(sys.argv.pop(1))\nfinally:\n    {PEAK}"
    began, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-c", meter, script, *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.returncode == 0, done.stderr
    peak, worker = (int(word) / 1024 for word in done.stderr.split()[-2:])
    seconds = time.monotonic() - began
    busy = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    print(
        f"\n{what}: {FILES:,} files, peak {peak:.0f} MiB (largest worker {worker:.0f}), {seconds:.0f} s "
        f"({busy:.0f} s of processor, {1000 * busy / FILES:.2f} ms per file)"
    )
    return peak, busy


PEAK = (
    "print(*(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, "
    "resource.RUSAGE_CHILDREN)), file=sys.stderr)"
)


on_linux = pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss is in KiB on Linux only")


@on_linux
def test_many_files_are_inspected_in_a_gibibyte(scans, tmp_path, monkeypatch):
    monkeypatch.setenv("MEDGAN_CACHE", str(tmp_path / "cache"))
    (first, busy), (second, idle) = (
        measured(f"inspect, {kind_of(scans)}, {look} look", INSPECT, scans) for look in ("first", "second")
    )
    assert max(first, second) < LIMIT_MIB
    assert idle < busy / 2, "the second look reads nothing"


@on_linux
def test_many_files_are_prepared_in_a_gibibyte(scans, tmp_path):
    assert (
        measured(f"inspect and prepare, {kind_of(scans)}", PREPARE, scans, tmp_path / "cache", FILES)[0]
        < LIMIT_MIB
    )


def kind_of(scans):
    return next((scans / "a").iterdir()).suffix[1:]
