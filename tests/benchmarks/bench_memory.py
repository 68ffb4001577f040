"""Peak memory and seconds of looking at and preparing many small files; run by `make bench`.

20,000 of them, or MEDGAN_BENCH_FILES. The second look reads nothing anew.
"""

import os
import resource
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

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
from medgan.dataset.labels import Source
from medgan.plan import Overrides, decide
from medgan.prepare import prepare
manifest = index(Source(path=Path(sys.argv[1])))
plan = decide(measure(manifest), Overrides(effort="quick"))
stack = prepare(manifest, plan, Path(sys.argv[2]))
assert len(stack) == int(sys.argv[3])
for _, images in stack.chunks():
    images.sum()
"""


def write_png(path, image):
    Image.fromarray(image).save(path.with_suffix(".png"))


def write_dicom(path, image):
    dataset = Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID = CTImageStorage, generate_uid()
    dataset.SeriesInstanceUID, dataset.PatientID, dataset.Modality = generate_uid(), path.stem, "CT"
    dataset.Rows, dataset.Columns = image.shape
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 12, 11, 0
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.RescaleSlope, dataset.RescaleIntercept, dataset.RescaleType = "1", "-1024", "HU"
    dataset.PixelSpacing, dataset.ImageType = ["5", "5"], ["ORIGINAL", "PRIMARY", "AXIAL"]
    dataset.ImageOrientationPatient = ["1", "0", "0", "0", "1", "0"]
    dataset.ImagePositionPatient = ["0", "0", "0"]
    dataset.PixelData = (image.astype("<u2") * 8).tobytes()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.save_as(path.with_suffix(".dcm"), enforce_file_format=True)


@pytest.fixture(params=[write_png, write_dicom], ids=["png", "dicom"])
def scans(request, tmp_path):
    """Images of 64 x 64 in two classes."""
    chance = np.random.default_rng(0)
    for label in "ab":
        (tmp_path / "scans" / label).mkdir(parents=True)
    for number in range(FILES):
        image = chance.integers(0, 256, (64, 64), np.uint8)
        request.param(tmp_path / "scans" / "ab"[number % 2] / f"{number:05d}", image)
    return tmp_path / "scans"


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
        f"\n{what}: {FILES:,} files, peak {peak:.0f} MiB (largest worker {worker:.0f}), {seconds:.0f} s ({busy:.0f} s of "
        f"processor, {1000 * busy / FILES:.2f} ms per file)"
    )
    return peak


PEAK = "print(*(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)), file=sys.stderr)"


@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss is in KiB on Linux only")
def test_many_files_fit_in_a_gibibyte(scans, tmp_path, request):
    form = request.node.callspec.id
    time.sleep(2)  # younger files are not remembered
    for look in ("first", "second"):
        assert measured(f"inspect, {form}, {look} look", INSPECT, scans) < LIMIT_MIB
    assert measured(f"inspect and prepare, {form}", PREPARE, scans, tmp_path / "cache", FILES) < LIMIT_MIB
