"""Words planted wherever a scan can hold text are looked for in every byte written: none is found."""

import gzip
import io
import os
import re
import sqlite3
import stat
import struct
import sys
import time
import zipfile
import zlib
from contextlib import closing
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from pydicom.datadict import DicomDictionary
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import ComputedRadiographyImageStorage, CTImageStorage, ExplicitVRLittleEndian
from typer.testing import CliRunner

from medgan.cli.app import app
from medgan.evaluation.analyses import EFFORTS, Effort

pytestmark = pytest.mark.slow

WORD, ACCENTED, NUMBER = "QXCANARYZ", "Qçänarÿ", "92718284"
"""What is planted: letters, letters outside ASCII (they differ in every encoding), and digits."""
ENCODINGS = ("utf-8", "utf-16-le", "utf-16-be", "latin-1")
NEEDLES = {
    planted.encode(encoding) for planted in (WORD, WORD.lower(), ACCENTED, NUMBER) for encoding in ENCODINGS
}
TEXT = {
    "AE": WORD, "AS": NUMBER[:4], "CS": WORD, "DA": NUMBER, "DS": f"{NUMBER}.5", "DT": NUMBER, "IS": NUMBER,
    "LO": f"{WORD} {ACCENTED}", "LT": f"{WORD} {ACCENTED}", "PN": f"{WORD}^{ACCENTED}", "SH": WORD,
    "ST": f"{WORD} {ACCENTED}", "TM": f"{NUMBER[:6]}.{NUMBER}", "UC": f"{WORD} {ACCENTED}",
    "UI": f"1.2.{NUMBER}", "UR": f"http://{WORD}.example/", "UT": f"{WORD} {ACCENTED}",
    "OB": WORD.encode() + b"\0", "UN": WORD.encode() + b"\0",
}  # fmt: skip
"""{value representation: what is planted in it}; the others hold numbers."""
NEEDED = {
    "SpecificCharacterSet", "SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "Modality", "ImageType",
    "PixelData", "PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing", "PixelAspectRatio",
    "ImagePositionPatient", "ImageOrientationPatient", "NumberOfFrames", "PhotometricInterpretation",
    "RescaleIntercept", "RescaleSlope", "RescaleType", "WindowCenter", "WindowWidth", "VOILUTFunction",
    "ModalityLUTSequence", "VOILUTSequence", "SharedFunctionalGroupsSequence",
    "PerFrameFunctionalGroupsSequence", "DirectoryRecordSequence", "SliceThickness", "SpacingBetweenSlices",
    "PatientID", "InstanceNumber",
}  # fmt: skip
"""Attributes without whose true values nothing is an image; those of text are planted in another test."""
ROOT = Path(__file__).parents[1]
PAGES = [
    ROOT / "README.md",
    *(path for folder in ("medgan", "docs") for path in sorted((ROOT / folder).rglob("*.[mp][dy]"))),
]
CLAIM = re.compile(
    r"\b(de-?identified|anonymous|anonymised|anonymized|HIPAA|GDPR|privacy-preserving)\b", re.IGNORECASE
)
DENIAL = re.compile(r"\b(no|not|nobody|nothing|never)\b", re.IGNORECASE)
SMALL = ("--effort", "smoke", "--images", "32", "--size", "16", "--batch", "16")


# --- planting ---


def planted(groups=None):
    """Every standard attribute that takes text, in `groups` or in all, with a canary, also in sequences."""
    dataset, item, inner = Dataset(), Dataset(), Dataset()
    for keyword in ("PatientName", "InstitutionName", "CodeMeaning", "PatientComments", "UID"):
        inner.add(element(pydicom.datadict.tag_for_keyword(keyword)))
    item.add(DataElement(0x00081140, "SQ", Sequence([inner])))
    for tag, (vr, *_, keyword) in DicomDictionary.items():
        if takes_canary(tag, keyword) and (groups is None or tag >> 16 in groups):
            if vr in TEXT:
                dataset.add(element(tag))
            elif vr == "SQ":
                dataset.add(DataElement(tag, "SQ", Sequence([item])))
    for number, vr in enumerate(TEXT):  # an overlay, and attributes of its group that nobody knows
        dataset.add(DataElement(0x60021500 + number, vr, TEXT[vr]))
    dataset.add(DataElement(0x60003000, "OW", WORD.encode() + b"\0"))
    block = dataset.private_block(0x0099, f"{WORD} PRIVATE", create=True)
    for offset, vr in enumerate(TEXT):
        block.add_new(offset, vr, TEXT[vr])
    return dataset


def takes_canary(tag, keyword):
    """Whether an image stays one with a canary in the attribute; groups 0, 2, 4, FFFE are in no data set."""
    described = keyword in NEEDED or "LookupTable" in keyword
    return not described and tag >> 16 not in {0x0000, 0x0002, 0x0004, 0xFFFE}


def element(tag):
    vr = DicomDictionary[int(tag)][0]
    return DataElement(tag, vr, TEXT[vr])


def shown(seed, *shape):
    """Values in [0, 1]: what all patients share, and a little of their own, so that nobody is a copy."""
    shared = np.random.default_rng(0).random(shape)
    return 0.8 * shared + 0.2 * np.random.default_rng(seed + 1).random(shape)


def dicom(path, seed, *, kind, groups=None, **changes):
    """An image of 16 x 16 pixels full of canaries."""
    with pydicom.config.disable_value_validation():
        dataset = planted(groups)
        pixels = (2000 * shown(seed, 16, 16)).astype("<u2")
        facts = {
            "SpecificCharacterSet": "ISO_IR 100",
            "SOPClassUID": CTImageStorage if kind == "CT" else ComputedRadiographyImageStorage,
            "SOPInstanceUID": f"1.2.{NUMBER}.{seed}",
            "SeriesInstanceUID": f"1.2.{NUMBER}.9.{seed}",
            "Modality": kind,
            "ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"],
            "PatientID": f"{WORD}{seed // 2}",
            "PixelSpacing": ["1", "1"],
            "Rows": 16,
            "Columns": 16,
            "BitsAllocated": 16,
            "BitsStored": 16,
            "HighBit": 15,
            "PixelRepresentation": 0,
            "SamplesPerPixel": 1,
            "PhotometricInterpretation": "MONOCHROME2",
            "RescaleIntercept": "-1024",
            "RescaleSlope": "1",
            "RescaleType": "HU",
        } | changes
        for keyword, value in facts.items():
            setattr(dataset, keyword, value)
        dataset.add(DataElement(0x7FE00010, "OW", pixels.tobytes()))
        dataset.file_meta = FileMetaDataset()
        dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        dataset.file_meta.ImplementationVersionName = WORD
        dataset.file_meta.SourceApplicationEntityTitle = WORD
        path.parent.mkdir(parents=True, exist_ok=True)
        dataset.save_as(path.with_suffix(".dcm"), enforce_file_format=True)


def nifti(path, seed):
    """A volume with canaries in every text field of its header and in an extension."""
    volume = (1000 * shown(seed, 16, 16, 3)).astype(np.float32)
    image = nib.Nifti1Image(volume, np.eye(4))
    for field in ("descrip", "aux_file", "intent_name", "db_name"):
        image.header[field] = f"{WORD} {ACCENTED}".encode()[:16]
    image.header.extensions.append(nib.nifti1.Nifti1Extension("comment", f"{WORD} {ACCENTED}".encode()))
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(image, path.with_suffix(".nii.gz"))
    path.with_suffix(".json").write_text(f'{{"PatientName": "{WORD}"}}', encoding="utf-8")


def png(path, seed):
    """A picture with canaries in its text chunks and in EXIF."""
    notes = PngInfo()
    notes.add_text(WORD, ACCENTED)
    notes.add_text("Comment", WORD, zip=True)
    notes.add_itxt("Author", f"{WORD} {ACCENTED}", zip=True)
    exif = Image.Exif()
    exif[0x010E] = WORD
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = (255 * shown(seed, 16, 16)).astype(np.uint8)
    Image.fromarray(pixels).save(path.with_suffix(".png"), pnginfo=notes, exif=exif)


CASES = {
    "CT": lambda path, seed: dicom(path, seed, kind="CT"),
    "CT, short headers": lambda path, seed: dicom(
        path, seed, kind="CT", groups={0x0008, 0x0010, 0x0020, 0x0040}
    ),
    "CR": lambda path, seed: dicom(path, seed, kind="CR"),
    "DICOM of no known modality": lambda path, seed: dicom(
        path,
        seed,
        kind="CR",
        Modality=WORD,
        ImageType=[WORD] * 4,
        RescaleType=WORD,
        VOILUTFunction=WORD,
    ),
    "NIfTI": nifti,
    "PNG with a table": png,
}


TRAINED_ON_THE_WAY = ("CT", "PNG with a table")
"""Cases whose generator `balance` also trains by itself; once per kind of label."""


def plant(root, case):
    """A data set of two classes: canaries in files, their names, and folders above and below the classes."""
    for number in range(10):
        label = ("mass", "normal")[number % 5 > 1]
        CASES[case](root / label / WORD / f"{WORD}-{ACCENTED}-{NUMBER}-{number}", number)
    (root / "mass" / f"{WORD}.dcm").write_bytes(b"\0" * 128 + b"DICM" + WORD.encode())
    (root / "mass" / f"{WORD}.txt").write_text(WORD, encoding="utf-8")
    for keyword in ("NumberOfFrames", "RescaleSlope"):  # refused, with words that quote it
        file = root / "mass" / f"{WORD}-{keyword}.dcm"
        dicom(file, 99, kind="CT", groups={0x0010}, **{keyword: "135791357"})
        file.write_bytes(
            file.read_bytes().replace(b"135791357", WORD.encode())
        )  # pydicom writes no such number
    if not case.startswith("PNG"):
        return ()
    rows = [
        f"{path.relative_to(root)},{path.relative_to(root).parts[0]},{WORD}{ACCENTED}{number // 2},{WORD}"
        for number, path in enumerate(sorted(root.rglob("*.png")))
    ]
    table = root.parent / f"{WORD}.csv"
    table.write_text("\n".join(["path,label,patient,remark", *rows]), encoding="utf-8")
    return ("--labels", table)


# --- searching ---


def unpacked(data):
    """`data` and whatever is compressed in it: gzip, zip, the chunks of PNG."""
    yield data
    if data[:2] == b"\x1f\x8b":
        yield from unpacked(gzip.decompress(data))
    elif data[:4] == b"PK\x03\x04":
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            for name in archive.namelist():
                yield name.encode()
                yield from unpacked(archive.read(name))
    elif data[:8] == b"\x89PNG\r\n\x1a\n":
        yield from chunks(data)


def chunks(data):
    """The inflated text chunks of a PNG (PNG specification, 11.3.3)."""
    at = 8
    while at < len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        body = data[at + 8 : at + 8 + length]
        if kind in {b"zTXt", b"iTXt", b"iCCP"}:
            for start in range(len(body)):
                try:
                    yield zlib.decompress(body[start:])
                except zlib.error:
                    continue
        at += length + 12


def found_in(root):
    """{path: needles} of every file or name below `root` that holds a canary."""
    hits = {}
    for path in root.rglob("*"):
        name = os.fsencode(path.relative_to(root))
        parts = [name, *(unpacked(path.read_bytes()) if path.is_file() else ())]
        here = {needle for needle in NEEDLES for part in parts if needle in part}
        if here:
            hits[str(path.relative_to(root))] = here
    return hits


# --- the search finds what is there ---


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("word", [WORD, WORD.lower(), ACCENTED, NUMBER])
def test_the_search_finds_every_canary_in_every_encoding(tmp_path, word, encoding):
    (tmp_path / "file").write_bytes(b"\x01\x02" + word.encode(encoding) + b"\xff")
    assert found_in(tmp_path)


@pytest.mark.parametrize("pack", ["gzip", "zip", "deep", "zTXt", "iTXt", "name", "folder"])
def test_the_search_finds_what_is_compressed_or_a_name(tmp_path, pack):
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as stream:
        stream.writestr("inside", WORD * 9)
    notes = PngInfo()
    notes.add_itxt("Comment", WORD * 9, zip=True) if pack == "iTXt" else notes.add_text(
        "C", WORD * 9, zip=True
    )
    picture = io.BytesIO()
    Image.new("L", (4, 4)).save(picture, "png", pnginfo=notes)
    data = {
        "gzip": gzip.compress(WORD.encode() * 9),
        "zip": archive.getvalue(),
        "deep": gzip.compress(archive.getvalue()),
        "zTXt": picture.getvalue(),
        "iTXt": picture.getvalue(),
        "name": b"",
        "folder": b"",
    }[pack]
    assert WORD.encode() not in data
    place = tmp_path / {"name": WORD, "folder": f"{WORD}/file"}.get(pack, "file")
    place.parent.mkdir(exist_ok=True)
    place.write_bytes(data)
    assert found_in(tmp_path)


@pytest.mark.parametrize("case", CASES)
def test_the_canaries_are_in_what_is_read(tmp_path, case):
    plant(tmp_path / "scans", case)
    images = [path for path in (tmp_path / "scans").rglob(f"*-{NUMBER}-*") if path.is_file()]
    assert len(images) >= 10
    hits = found_in(tmp_path / "scans")
    assert all(WORD.encode() in hits[str(path.relative_to(tmp_path / "scans"))] for path in images)
    if case == "CT":
        whole = pydicom.dcmread(images[0])
        assert sum(1 for one in whole.iterall() if one.VR in TEXT) > 3000


# --- nothing of it is written ---


def medgan(*words):
    done = CliRunner().invoke(app, [str(word) for word in words])
    assert done.exit_code == 0, done.stderr
    return done.output


def judged(scans, labels, theirs, out):
    """Evaluations of the run, of medgan's folder and of another tool's, their reports, and all messages."""
    judges = {
        "evaluation": (scans, *labels, "--model", out / "run"),
        "evaluated-folder": (scans, *labels, "--synthetic", out / "png"),
        "evaluated-theirs": (scans, *labels, "--synthetic", theirs),
    }
    said = ""
    for name, words in judges.items():
        said += medgan(
            "evaluate", *words, "--only", "fidelity,privacy", "--device", "cpu", "--out", out / name
        )
        said += medgan("report", out / name)
        said += medgan("report", out / name, "--json")
    (out / "said.txt").write_text(said, encoding="utf-8")


@pytest.fixture(scope="module", params=CASES)
def written(request, tmp_path_factory):
    """The folder with everything that medgan wrote about a planted data set: run, outputs, cache."""
    place = tmp_path_factory.mktemp("canary")
    scans, out = place / WORD / ACCENTED / "scans", place / "written"
    labels, theirs = plant(scans, request.param), place / WORD / ACCENTED / "theirs"
    plant(theirs, request.param)
    time.sleep(2.5)  # what has only just changed is not remembered, and would not be looked for in the cache
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MEDGAN_CACHE", str(out / "cache"))
        medgan("inspect", scans, *labels, "--files", "--json")
        medgan("train", scans, *labels, "--out", out / "run", *SMALL, "--tensorboard")
        medgan("sample", out / "run", "--count", 2, "--out", out / "sampled")
        for form in ("dicom", "nifti", "png"):
            words = ("--model", out / "run", "--format", form)
            medgan("balance", scans, *labels, "--out", out / form, *words)
        if request.param in TRAINED_ON_THE_WAY:
            medgan("balance", scans, *labels, "--out", out / "trained", *SMALL)
        patch.setitem(EFFORTS, "quick", Effort(per_class=8, most=8, resamples=9))
        judged(scans, labels, theirs, out)
    return out


def test_no_canary_is_in_anything_that_is_written(written):
    names = {path.name for path in written.rglob("*")}
    assert {
        "run.json",
        "log.jsonl",
        "state.pt",
        "manifest.csv",
        "index.sqlite",
        "pixels.npy",
        "card.md",
        "evaluation.json",
        "report.html",
        "exhibits.npz",
        "privacy.json",
        "fidelity.json",
    } <= names
    assert "## Evaluation" in (written / "run" / "model" / "card.md").read_text(encoding="utf-8")
    assert "report.html" in (written / "said.txt").read_text(encoding="utf-8")
    with closing(sqlite3.connect(written / "cache" / "index.sqlite")) as base:
        assert base.execute("SELECT count(*) FROM files").fetchone()[0] >= 10
    assert found_in(written) == {}


@pytest.mark.skipif(sys.platform == "win32", reason="Windows keeps rights in another way")
def test_nobody_else_can_enter_a_folder_that_holds_pixels_or_weights(written):
    for name in ("run", "sampled", "dicom", "nifti", "png", "evaluation"):
        assert stat.S_IMODE((written / name).stat().st_mode) & 0o007 == 0
    assert stat.S_IMODE((written / "cache").stat().st_mode) == 0o700


def test_no_file_claims_a_de_identification_that_nobody_made(written):
    for path in written.rglob("*.dcm"):
        dataset = pydicom.dcmread(path, stop_before_pixels=True)
        assert not [one.keyword for one in dataset if "Deidentification" in one.keyword]
        assert "PatientIdentityRemoved" not in dataset
    assert claims(" ".join(path.read_text(encoding="utf-8") for path in written.rglob("*.md"))) == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_no_page_and_no_module_claims_it_either(page):
    assert claims(page.read_text(encoding="utf-8")) == []


def test_a_claim_is_told_from_its_denial():
    assert claims("The images are anonymous. They comply with HIPAA!")[1:] == ["They comply with HIPAA!"]
    assert claims("Nobody was de-identified here. Synthetic does not mean anonymous.") == []


def claims(text):
    """The sentences that promise what only a review can, unless they deny it."""
    sentences = re.split(r"(?<=[.!?;])\s", " ".join(text.split()))
    return [one for one in sentences if CLAIM.search(one) and not DENIAL.search(one)]
