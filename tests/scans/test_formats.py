"""What a file is, by its content; and real odd files with the verdict each shall get."""

from __future__ import annotations

import gzip
import struct
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from medgan.base.errors import PlanError, ScanError
from medgan.scans import formats
from medgan.scans.dicom import read as dicom_read
from medgan.scans.scan import OutputFormat, Provenance
from tests.scans.phantoms import ramp, wheel, write
from tests.scans.written import FORMS, SYNTHETIC, picture

SHARED = Path(__file__).parents[2].parent / "shared" / "data"
NIFTI = nib.Nifti1Image(ramp(dtype=np.int16)[..., None], np.eye(4)).to_bytes()


def verdict(path: Path) -> str:
    """What both ways of reading say of a file: "ok", or the verdict of its refusal, which has to name it."""
    try:
        formats.read_header(path), formats.read(path)
    except ScanError as error:
        return error.verdict if path.name in error.message else f"{error.verdict} of no name"
    return "ok"


def file(folder: Path, name: str, content: bytes) -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (b"", "empty"),
        (bytes(128) + b"DICM", "dicom"),
        (b"II*\0" + bytes(124) + b"DICM", "dicom"),
        (NIFTI, "nifti"),
        (gzip.compress(NIFTI), "nifti"),
        (struct.pack("<i", 348) + bytes(400), "nifti"),
        (struct.pack(">7i", 1, 4, 4, 4, 1, 3, 0) + bytes(300), "nifti"),
        (b"\x89PNG\r\n\x1a\n", "png"),
        (b"\xff\xd8\xff\xe0", "jpeg"),
        (b"II*\0", "tiff"),
        (b"MM\0+", "tiff"),
        (b"PK\x03\x04" + bytes(22) + struct.pack("<2H", 16, 0) + b"train_images.npy", "npz"),
        (b"PK\x03\x04" + bytes(22) + struct.pack("<2H", 5, 0) + b"a.dcm", "archive"),
        (gzip.compress(b"text"), "archive"),
        (gzip.compress(struct.pack("<i", 348) + bytes(124) + b"DICM" + bytes(300)), "archive"),
        (b"patient,label\n", "other"),
    ],
    ids=[
        *("empty", "dicom", "dicom with a TIFF preamble", "nifti", "gzipped nifti", "analyze", "freesurfer"),
        *(
            "png",
            "jpeg",
            "tiff",
            "big-endian BigTIFF",
            "npz",
            "zip of scans",
            "gzip",
            "gzipped dicom",
            "table",
        ),
    ],
)
def test_a_file_is_what_its_content_says(head, kind, tmp_path):
    assert formats._detect_from_head(head) == kind
    assert formats._detect_format(file(tmp_path, "no name", head)) == kind


def test_a_name_is_not_needed_and_does_not_mislead(tmp_path):
    Image.fromarray(ramp(dtype=np.uint8)).save(tmp_path / "scan.nii", "PNG")
    assert formats.read(tmp_path / "scan.nii").meaning == "stored"
    assert verdict(file(tmp_path, "IM0001", wheel("CT_small.dcm").read_bytes())) == "ok"


def test_a_gzip_named_nifti_that_cannot_be_unpacked_is_damaged_and_no_archive(tmp_path):
    packed = bytearray(gzip.compress(NIFTI))
    packed[10:40] = b"\xff" * 30
    assert verdict(file(tmp_path, "a.nii.gz", bytes(packed))) == "error:corrupt-gzip"
    assert verdict(file(tmp_path, "a.gz", bytes(packed))) == "skip:archive"


@pytest.mark.parametrize("name", ["a.img", "a.img.gz"])
def test_the_voxels_of_a_pair_are_left_to_their_header(name, tmp_path):
    nib.Nifti1Pair(ramp(dtype=np.int16)[..., None], np.eye(4)).to_filename(tmp_path / name)
    assert verdict(tmp_path / name) == "skip:pair-member"
    assert verdict(tmp_path / name.replace("img", "hdr")) == "ok"


def test_a_lonely_img_is_no_scan(tmp_path):
    assert verdict(file(tmp_path, "a.img", bytes(range(200)))) == "skip:not-medical"


def test_an_array_file_is_no_single_scan(tmp_path):
    np.savez(tmp_path / "a.npz", train_images=np.zeros((2, 3, 3), np.uint8))
    assert verdict(tmp_path / "a.npz") == "skip:unread-format"


def test_the_label_tag_reaches_dicom(tmp_path):
    path = write(tmp_path / "a", ramp(), BodyPartExamined="CHEST")
    assert formats.read_header(path, label_tag="BodyPartExamined").label == "CHEST"


@given(
    st.binary(max_size=400),
    st.sampled_from([b"", bytes(128) + b"DICM", NIFTI, b"\x89PNG\r\n\x1a\n", b"II*\0"]),
)
def test_no_bytes_raise_anything_but_a_scan_error(tmp_path_factory, junk, start):
    path = file(tmp_path_factory.getbasetemp(), "junk", start + junk)
    assert verdict(path).partition(":")[0] in {"ok", "skip", "error"}


@pytest.mark.parametrize(
    "name", ["CT_small.dcm", "MR_small_RLE.dcm", "SC_rgb_small_odd_jpeg.dcm", "image_dfl.dcm"]
)
def test_mutated_dicom_always_gets_a_verdict(name, tmp_path):
    rng = np.random.default_rng(5)
    honest, refused = wheel(name).read_bytes(), 0
    for _ in range(60):
        data = np.frombuffer(honest, np.uint8).copy()
        places = rng.integers(0, min(data.size, 2500), 3)
        data[places] = rng.integers(0, 256, 3)
        refused += verdict(file(tmp_path, "mutant.dcm", data.tobytes())) != "ok"
    assert refused


@pytest.mark.parametrize("form", formats.WRITERS)
def test_what_is_written_is_read_by_the_same_name_and_kind(form, tmp_path):
    mark = Provenance(synthetic=True, label="mass", index=1, seed=1, model="ab")
    how = OutputFormat(format=form, low=0, high=255, unit="stored", bits=8)
    path = formats.write(tmp_path / "v1.2_0001", ramp(dtype=np.uint8) / np.float32(255), how, mark)
    assert path.name == "v1.2_0001" + formats.WRITERS[form].SUFFIX
    assert formats._detect_format(path) == form
    assert np.array_equal(formats.read(path).pixels[0], ramp())
    assert "synthetic" in formats.read_header(path).notes


@pytest.mark.parametrize(("form", "files"), [("dicom", 4), ("nifti", 1)])
def test_a_volume_comes_back_with_its_values_and_its_spacing(form, files, tmp_path):
    mark = Provenance(synthetic=True, label="mass", index=1, seed=1, model="ab")
    how = OutputFormat(
        format=form,
        low=0,
        high=255,
        unit="stored",
        bits=8,
        modality="MR",
        spacing_mm=(3.0, 0.5, 0.75),
        patient_orientation="L\\P",
        dicom_class="mr",
    )
    values = np.stack([ramp(start=number) for number in range(4)])
    paths = formats.write_volume(tmp_path / "v1.2", values / np.float32(255), how, mark)
    assert len(paths) == files
    scan = formats.read(paths[0]) if files == 1 else dicom_read.read_series(paths)
    np.testing.assert_array_equal(scan.pixels, values)
    assert scan.spacing_mm == pytest.approx((3.0, 0.5, 0.75))


def test_a_volume_cannot_be_a_png(tmp_path):
    how = OutputFormat(format="png", low=0, high=255, unit="stored", bits=8)
    mark = Provenance(synthetic=True, label="mass", index=1)
    with pytest.raises(PlanError, match="png") as refused:
        formats.write_volume(tmp_path / "v", np.zeros((2, 4, 4), np.float32), how, mark)
    assert "dicom, nifti" in refused.value.hint
    assert list(tmp_path.iterdir()) == []


# --- real files

REFUSED = {
    "dicom_tricky": {
        "broken/MR_truncated.dcm": "error:truncated",
        "broken/badVR.dcm": "skip:not-image",  # a dose, whatever its frames
        "broken/cut_in_header.dcm": "error:truncated-header",
        "broken/cut_in_pixel_data.dcm": "error:truncated",
        "broken/empty.dcm": "error:empty-file",
        "broken/empty_charset_LEI.dcm": "error:truncated-header",
        "broken/jpeg_named.dcm": "skip:not-dicom",
        "broken/liver_deflate.dcm": "skip:not-image",
        "broken/meta_missing_tsyntax.dcm": "error:missing-attribute",
        "broken/no_meta_group_length.dcm": "skip:unread-format",  # an RT Image
        "broken/preamble_only.dcm": "error:truncated-header",
        "broken/rtplan_truncated.dcm": "skip:not-image",
        "broken/text.dcm": "skip:not-dicom",
        "gray/12bitSigned_0x0F0F.dcm": "skip:mosaic",
        "gray/no_meta.dcm": "skip:not-dicom",
        "manifest.csv": "skip:document",
        "nonimage/DICOMDIR": "skip:dicomdir",
        "nonimage/chrJapMulti.dcm": "skip:no-pixels",
        "nonimage/hotiron.dcm": "skip:not-image",
        "nonimage/liver_1frame.dcm": "skip:not-image",
        "nonimage/parametric_map_float.dcm": "skip:not-image",
        "nonimage/reportsi.dcm": "skip:not-image",
        "nonimage/rtdose.dcm": "skip:not-image",
        "nonimage/rtplan.dcm": "skip:not-image",
        "nonimage/rtstruct.dcm": "skip:not-image",
        "nonimage/test-SR.dcm": "skip:not-image",
    },
    "nifti_tricky": {
        "analyze.hdr": "skip:analyze",
        "constant.nii.gz": "skip:constant",
        "empty.nii.gz": "error:empty-file",
        "manifest.csv": "skip:document",
        "nifti1.hdr": "error:missing-pair",
        "pair.img": "skip:pair-member",
        "plain_named_gz.nii.gz": "error:truncated",
        "row_major.dconn.nii": "skip:not-image",
        "test.mgz": "skip:freesurfer",
        "text.nii": "skip:not-medical",
        "truncated.nii.gz": "error:truncated",
    },
}
"""What each odd real file shall be refused as; every other one in the folder shall be read."""


@pytest.mark.parametrize("name", REFUSED)
def test_odd_real_files_get_their_verdicts(name):
    folder = SHARED / name
    if not folder.is_dir():
        pytest.skip("../shared/data is not here")
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    found = {str(path.relative_to(folder)): verdict(path) for path in files}
    assert {path: said for path, said in found.items() if said != "ok"} == REFUSED[name]
    assert len(found) > 2 * len(REFUSED[name])


@pytest.mark.parametrize("name", ["dicom", "nifti", "png"])
@pytest.mark.parametrize("key", [key for key in FORMS if key != "ct-without-thickness"])
def test_what_was_written_is_read_back_as_it_was(name, key, tmp_path):
    form = replace(FORMS[key], format=name)
    pixels = picture(form)
    read = formats.read_output(formats.write(tmp_path / "image", pixels, form, SYNTHETIC), form)
    step = 1 / 255 if form.bits == 8 or (name == "png" and form.channels == 3) else 1 / 4095
    assert read.shape == pixels.shape
    assert np.abs(read - pixels).max() < 0.51 * step


@pytest.mark.parametrize("name", ["dicom", "nifti", "png"])
def test_an_image_without_content_is_read_back_as_black(name, tmp_path):
    form = replace(FORMS["mr"], format=name)
    file = formats.write(tmp_path / "image", np.zeros((33, 21), np.float32), form, SYNTHETIC)
    assert (formats.read_output(file, form) == np.zeros((33, 21))).all()
