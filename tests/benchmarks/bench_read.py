"""How fast scans are read, as ratios to the plain loop everybody writes, side by side in one run.

Run by `make bench NAME=read`.

The plain loop is `dcmread(path).pixel_array.astype("float32")`: no check, no meaning. Ratios are of processor
time unless they say wall. What docs/benchmarks/io.md promises is asserted, each bar with its name; TorchIO is
measured where it is installed (it is no dependency).
"""

import gzip
import multiprocessing
import os
import resource
import statistics
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

from medgan.base.workers import keep_memory
from medgan.dataset.fingerprint import measure
from medgan.dataset.index import index
from medgan.dataset.source import Source
from medgan.plan import Overrides, decide_frame
from medgan.preparation.stack import prepare
from medgan.scans import formats, intensity
from medgan.scans.dicom import read as dicom_read
from medgan.scans.dicom.header import load_file

keep_memory()  # as the command line does; else a slice of 512 x 512 costs both sides hundreds of page faults
SHARED = Path(__file__).parents[2].parent / "shared" / "data"
ROUNDS = 7
FILES = 60
ATTRIBUTES = 258
"""As many as in the header of a clinical CT."""
FAST, LARGE, BY_PYDICOM_ALONE = 3.0, 1.2, 0.8
"""Least ratio to the plain loop: of plain files, of plain slices of 512 x 512 (going over pixels takes the
time), and by the full parser."""
TWO_WORKERS, LOOK_AGAIN, AGAIN, UNZIPPED = 1.6, 5.0, 20.0, 1 / 1.2
"""Least ratio of two workers to one, of a second look and a second preparation to the plain loop, of a
.nii.gz to its decompression."""


def slice_of_ct(path, size, number):
    """A CT slice whose header is as long as a scanner's."""
    made = Dataset()
    made.SOPClassUID, made.SOPInstanceUID, made.SeriesInstanceUID = (
        CTImageStorage,
        generate_uid(),
        generate_uid(),
    )
    made.Modality, made.PatientID, made.ImageType = "CT", f"P{number}", ["ORIGINAL", "PRIMARY", "AXIAL"]
    made.Rows = made.Columns = size
    made.SamplesPerPixel, made.PhotometricInterpretation = 1, "MONOCHROME2"
    made.BitsAllocated, made.BitsStored, made.HighBit, made.PixelRepresentation = 16, 16, 15, 1
    made.RescaleSlope, made.RescaleIntercept, made.PixelPaddingValue = "1", "-1024", -2000
    made.PixelSpacing, made.SliceThickness = ["0.7", "0.7"], "5"
    made.ImagePositionPatient, made.ImageOrientationPatient = [0, 0, number], [1, 0, 0, 0, 1, 0]
    block = made.private_block(0x0009, "GEMS_LIKE_01", create=True)
    for k in range(ATTRIBUTES - len(made)):
        block.add_new(k % 0xF0 + 1, "LO", f"value {k}") if k < 0xF0 else setattr(made, "StudyID", "1")
    image = np.random.default_rng(number).integers(-1000, 2000, (size, size)).astype("<i2")
    image[:20] = -2000
    made.PixelData = image.tobytes()
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    path.parent.mkdir(parents=True, exist_ok=True)
    made.save_as(path, enforce_file_format=True)
    return path


def files_of(name, folder):
    """The files of one row of the table."""
    if name.startswith("CT"):
        size = int(name.split()[1])
        return [slice_of_ct(folder / "ct" / f"{k}.dcm", size, k) for k in range(FILES)]
    found = sorted((SHARED / name).rglob("*.nii.gz" if name.startswith("nifti") else "*.dcm"))[:FILES]
    return found or pytest.skip(f"{name} is not here")


def plain_loop(path):
    return dcmread(path).pixel_array.astype("float32")


def medgan_reads(path, *, plain=True):
    """Every check, all meaning, and the unit range."""
    if plain:
        return intensity.normalise(formats.read(path).pixels, -1024, 3071)
    scan, _ = dicom_read._build_scan(load_file(path, whole=True, plain=False))
    return intensity.normalise(scan.pixels, -1024, 3071)


def monai_reads(path):
    readers = pytest.importorskip("monai.data.image_reader", reason="MONAI is not installed")
    reader = readers.NibabelReader() if path.name.endswith("gz") else readers.PydicomReader()
    return reader.get_data(reader.read(path))[0].astype("float32")


def torchio_reads(path):
    torchio = pytest.importorskip("torchio", reason="TorchIO is not installed")
    return torchio.ScalarImage(path).data.float()


def side_by_side(contenders, items, clock=time.process_time):
    """{name: seconds per item, one per round}, the contenders taking turns."""
    seconds = {name: [] for name in contenders}
    for _ in range(ROUNDS):
        for name, work in contenders.items():
            began = clock()
            for item in items:
                work(item)
            seconds[name].append((clock() - began) / len(items))
    return seconds


def told(title, seconds, first):
    """One line per contender: median, how many times as fast as the first, spread; returns {name: median}."""
    print(f"\n{title}")
    medians = {}
    for name, measured in seconds.items():
        ratios = [base / own for base, own in zip(seconds[first], measured, strict=True)]
        medians[name] = statistics.median(ratios)
        print(
            f"  {name:34} {1000 * statistics.median(measured):8.3f} ms   {statistics.median(ratios):6.2f}x"
            f"   ({min(ratios):.2f} to {max(ratios):.2f})"
        )
    return medians


@pytest.mark.parametrize("name", ["CT 256", "CT 512", "ct_planes_sbu", "cxr_kermany", "mednist64"])
def test_reading_beside_the_plain_loop(name, tmp_path):
    paths = files_of(name, tmp_path)
    contenders = {
        "plain loop": plain_loop,
        "medgan": medgan_reads,
        "medgan, full parser": partial(medgan_reads, plain=False),
        "medgan, header alone": formats.read_header,
    }
    ratios = told(name, side_by_side(contenders, paths), "plain loop")
    assert ratios["medgan"] >= (LARGE if name == "CT 512" else FAST)
    assert ratios["medgan, full parser"] >= BY_PYDICOM_ALONE


@pytest.mark.filterwarnings("ignore::UserWarning")  # MONAI's about images that lie nowhere
@pytest.mark.parametrize("name", ["CT 256", "ct_planes_sbu", "cxr_kermany", "nifti_hippocampus"])
@pytest.mark.parametrize("other", [monai_reads, torchio_reads])
def test_reading_beside_other_libraries(name, other, tmp_path):
    paths = files_of(name, tmp_path)
    other(paths[0])
    ratios = told(name, side_by_side({other.__name__: other, "medgan": medgan_reads}, paths), other.__name__)
    assert ratios["medgan"] > 1


def naive_all(paths):
    for path in paths:
        plain_loop(path)


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    """6,000 CT slices of 256 x 256, each of a patient of its own."""
    folder = tmp_path_factory.mktemp("many")
    for k in range(6000):
        slice_of_ct(folder / "ab"[k % 2] / f"{k:04d}.dcm", 256, k)
    old = time.time() - 3600
    for path in folder.rglob("*.dcm"):
        os.utime(path, (old, old))
    time.sleep(2.1)  # younger files are not remembered
    return folder


def spent(work, processes=1):
    """Seconds of processor of this process and its children, as if shared by `processes` idle ones."""
    began = processor()
    work()
    return (processor() - began) / processes


def processor():
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def naive_by_two(paths):
    with ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as pool:
        list(pool.map(naive_all, [paths[0::2], paths[1::2]]))


def test_a_second_worker_and_a_second_look(many, tmp_path, monkeypatch):
    """Index with one and two workers, again from memory, and the plain loop alike, from the start on."""
    paths = sorted(many.rglob("*.dcm"))
    seconds = {
        name: []
        for name in ("plain loop", "plain loop, two processes", "index", "index, two workers", "again")
    }
    for turn in range(5):
        seconds["plain loop"].append(spent(lambda: naive_all(paths)))
        seconds["plain loop, two processes"].append(spent(lambda: naive_by_two(paths), 2))
        for name, workers in (("index", 1), ("index, two workers", 2), ("again", 1)):
            monkeypatch.setenv("MEDGAN_WORKERS", str(workers))
            if name != "again":
                monkeypatch.setenv("MEDGAN_CACHE", str(tmp_path / f"{turn}{workers}"))
            began = time.perf_counter()
            seconds[name].append(spent(lambda: index(Source(path=many)), workers))
            print(f"{name}: {time.perf_counter() - began:.2f} s on the clock")
    title = f"{len(paths)} CT slices of 256 x 256, whole run"
    assert told(title, seconds, "plain loop")["again"] >= LOOK_AGAIN
    alone = {k: seconds[k] for k in ("index", "index, two workers", "again")}
    assert told("the same, against one worker", alone, "index")["index, two workers"] >= TWO_WORKERS


def test_a_second_training_run_decodes_nothing(many, tmp_path, monkeypatch):
    """Preparing training images, first and again, beside the plain loop over the files."""
    monkeypatch.setenv("MEDGAN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("MEDGAN_WORKERS", "1")
    manifest = index(Source(path=many))
    frame = decide_frame(measure(manifest), Overrides(effort="quick"))
    paths = sorted(many.rglob("*.dcm"))
    seconds = {"plain loop": [], "first": [], "again": []}
    for turn in range(5):
        seconds["plain loop"].append(spent(lambda: naive_all(paths)))
        stacks = tmp_path / f"stacks{turn}"
        for name in ("first", "again"):
            seconds[name].append(spent(lambda: prepare(manifest, frame, stacks)))  # noqa: B023
    assert told("preparing 6,000 slices, whole run", seconds, "plain loop")["again"] >= AGAIN


@pytest.mark.parametrize("name", ["160 x 192 x 96", "nifti_hippocampus"])
def test_gzipped_nifti_beside_bare_decompression(name, tmp_path):
    """`gzip.decompress` alone gives bytes; medgan gives float32 in the display frame, checked."""
    if name == "nifti_hippocampus":
        paths = files_of(name, tmp_path)
    else:
        chance = np.random.default_rng(0)
        volume = (
            1000 * np.sin(np.indices((160, 192, 96)).sum(0) / 40) + chance.normal(0, 20, (160, 192, 96))
        ).astype(np.int16)
        paths = [tmp_path / "a.nii.gz"]
        nib.save(nib.Nifti1Image(volume, np.diag([-1, -1, 1.5, 1])), paths[0])
    contenders = {"gzip.decompress": lambda path: gzip.decompress(path.read_bytes()), "medgan": formats.read}
    ratios = told(f"{name}, .nii.gz", side_by_side(contenders, paths), "gzip.decompress")
    # A crop of 50,000 voxels is inflated in half a millisecond: there the header is what takes time.
    assert ratios["medgan"] >= (UNZIPPED if name != "nifti_hippocampus" else 0.4)
