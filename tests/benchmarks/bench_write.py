"""Seconds of processor per written image: DICOM by pydicom and by medgan, NIfTI and PNG.

Run by `make bench NAME=write`. The slower DICOM is built and saved anew by pydicom for every image.
"""

import io
import statistics
import time

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from medgan.scans import formats
from medgan.scans.dicom import write as dicom_write
from medgan.scans.provenance import stored_values
from medgan.scans.scan import OutputFormat, Provenance

ROUNDS, IMAGES = 7, 40
"""Medians are over the rounds, each of so many images; both ways take turns: a busy machine slows both."""
LEAST = 5
"""How many times faster ours is at least, from pixels in [0, 1] to the bytes of a file."""
RANGE = {"low": 0.0, "high": 4095.0, "unit": "relative", "bits": 12}
PLATE = {"spacing_mm": (0.0, 0.2, 0.2), "body_part": "CHEST", "patient_orientation": "L\\F"}
SLICE = {"spacing_mm": (5.0, 0.7, 0.7), "patient_orientation": "L\\P"}
FORMS = {
    "ct": {"low": -1024.0, "high": 3071.0, "unit": "HU", "bits": 16, **SLICE},
    "mr": {**RANGE, **SLICE},
    "cr": {**RANGE, **PLATE},
    "dx": {**RANGE, **PLATE},
    "us": {"low": 0.0, "high": 255.0, "unit": "stored", "bits": 8},
    "sc": RANGE,
}


def form_of(name, file_format="dicom"):
    modality = "" if name == "sc" else name.upper()
    return OutputFormat(format=file_format, modality=modality, dicom_class=name, **FORMS[name])


def mark_of(number):
    return Provenance(synthetic=True, label="normal", index=number + 1, seed=number, model="ab" * 32)


def naive(pixels, form, like):
    """What a script would do: every attribute set on a new data set, which pydicom then saves."""
    stored = stored_values(pixels, form)
    dataset, meta = Dataset(), FileMetaDataset()
    for keyword, value in like.items():
        setattr(dataset, keyword, value)
    dataset.SOPInstanceUID, dataset.SeriesInstanceUID = generate_uid(), generate_uid()
    dataset.StudyInstanceUID, dataset.PatientID = generate_uid(), generate_uid()[-16:]
    dataset.PixelData = stored.tobytes()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta = meta
    stream = io.BytesIO()
    dataset.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


def ours(pixels, form, number):
    return next(dicom_write._encode_slices(pixels[None], form, mark_of(number)))


def milliseconds(write, images):
    """Per image."""
    began = time.process_time()
    for number, pixels in enumerate(images):
        write(pixels, number)
    return 1000 * (time.process_time() - began) / len(images)


def middle(times):
    """The median and, in brackets, the fastest and slowest round."""
    return f"{statistics.median(times):7.3f} ({min(times):.3f} to {max(times):.3f})"


@pytest.mark.parametrize("side", [64, 256])
@pytest.mark.parametrize("name", FORMS)
def test_dicom_is_encoded_many_times_faster_than_it_is_built_and_saved(name, side):
    form = form_of(name)
    images = np.random.default_rng(0).random((IMAGES, side, side), dtype=np.float32)
    dataset = pydicom.dcmread(io.BytesIO(ours(images[0], form, 0)))
    like = {element.keyword: element.value for element in dataset if element.keyword}
    slow, fast = [], []
    for _ in range(ROUNDS):
        slow.append(milliseconds(lambda pixels, _: naive(pixels, form, like), images))
        fast.append(milliseconds(lambda pixels, number: ours(pixels, form, number), images))
    ratio = statistics.median(slow) / statistics.median(fast)
    print(
        f"\n{name} {side} x {side}, ms per image: built and saved {middle(slow)}, ours {middle(fast)}: "
        f"{ratio:.1f} times"
    )
    assert ratio >= LEAST


@pytest.mark.parametrize("side", [64, 256])
def test_files_on_disk(tmp_path, side):
    images = np.random.default_rng(0).random((IMAGES, side, side), dtype=np.float32)
    for file_format in formats.WRITERS:
        form = form_of("ct", file_format)
        times = [
            milliseconds(
                lambda pixels, number, form=form: formats.write(
                    tmp_path / str(number), pixels, form, mark_of(number)
                ),
                images,
            )
            for _ in range(ROUNDS)
        ]
        print(f"\n{file_format} {side} x {side} on disk, ms per image: {middle(times)}")
    assert len(list(tmp_path.glob("*.dcm"))) == IMAGES
