"""Sound files from which mutants are made.

They are small files of pydicom's wheel, phantoms in every transfer syntax, NIfTI of every layout, and
pictures.
"""

from __future__ import annotations

import gzip
import io
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gdcm
import nibabel
import numpy as np
import pydicom
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.uid import (
    JPEG2000,
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)

from tests.scans.phantoms import dataset, save, wheel

LARGEST = 40_000
"""Bytes: larger files of the wheel take longer and reach no other code."""

Files = dict[str, bytes]


def dicom_seeds() -> Iterator[tuple[str, bytes]]:
    """The wheel's files of moderate size, and phantoms in every syntax."""
    folder = wheel("CT_small.dcm").parent
    for path in sorted(folder.glob("*.dcm")):
        if path.stat().st_size <= LARGEST:
            yield path.name, path.read_bytes()
    yield "DICOMDIR", wheel("dicomdirtests/DICOMDIR").read_bytes()
    yield from phantom_seeds()


def phantom_seeds() -> Iterator[tuple[str, bytes]]:
    """Three frames, and the same as a file of every kind of attribute and every syntax."""
    rows, columns = 36, 40  # JPEG 2000 wants 32 for its five resolutions
    frames = np.arange(3 * rows * columns, dtype=np.uint16).reshape(3, rows, columns)
    colour = np.arange(rows * columns * 3, dtype=np.uint8).reshape(rows, columns, 3)
    for syntax in (ExplicitVRLittleEndian, ImplicitVRLittleEndian, DeflatedExplicitVRLittleEndian):
        yield f"{syntax.name}.dcm", saved(rich(frames), syntax)
        yield f"{syntax.name} of one slice.dcm", saved(slice_of(frames[0]), syntax)
    yield "big endian.dcm", saved(rich(frames.astype(">u2")), ExplicitVRBigEndian)
    yield "palette.dcm", saved(palette(colour[..., 0]), ExplicitVRLittleEndian)
    options: dict[UID, dict[str, Any]] = {
        RLELossless: {},
        JPEGLSLossless: {},
        JPEGLSNearLossless: {"jls_error": 2},
        JPEG2000Lossless: {},
        JPEG2000: {"j2k_cr": [5]},
    }
    for syntax, how in options.items():
        for made, sort in ((rich(frames), "gray"), (still(dataset(colour)), "colour")):
            made.file_meta = pydicom.dataset.FileMetaDataset()
            made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
            made.compress(syntax, generate_instance_uid=False, **how)
            yield f"{syntax.name} {sort}.dcm", saved(made, syntax)
    for process in ("LosslessProcess14", "LosslessProcess14_1", "ExtendedProcess2_4", "BaselineProcess1"):
        for pixels, sort in ((frames[:, :, ::2] % 251, "gray"), (colour, "colour")):
            shallow = pixels.astype(np.uint8) if process.startswith("Base") else pixels
            yield f"JPEG {process} {sort}.dcm", by_gdcm(still(dataset(shallow)), process)


def still(made: Dataset) -> Dataset:
    """The same data set with the identifier of all phantoms, so that every run makes the same bytes."""
    made.SOPInstanceUID = "1.2.3.5"
    return made


def slice_of(frame: np.ndarray) -> Dataset:
    """A CT slice with place, rescale, window and padding."""
    made = still(dataset(frame))
    made.ImagePositionPatient, made.ImageOrientationPatient = [0, 0, 5], [1, 0, 0, 0, 1, 0]
    made.PixelSpacing, made.SliceThickness, made.InstanceNumber = [0.5, 0.5], 2, 7
    made.RescaleSlope, made.RescaleIntercept, made.RescaleType = 1, -1024, "HU"
    made.WindowCenter, made.WindowWidth = [40, 50], [400, 2000]
    made.PixelPaddingValue = 3
    return made


def rich(frames: np.ndarray) -> Dataset:
    """Frames with functional groups, a VOI LUT, a private block and whatever else makes parsers work."""
    made = slice_of(frames)
    del made.PixelPaddingValue
    made.add_new(0x00283010, "SQ", [table(n) for n in range(2)])
    made.SharedFunctionalGroupsSequence = [group(PixelMeasuresSequence={"PixelSpacing": [1, 2]})]
    made.PerFrameFunctionalGroupsSequence = [
        group(
            PlanePositionSequence={"ImagePositionPatient": [0, 0, -z]},
            PlaneOrientationSequence={"ImageOrientationPatient": [1, 0, 0, 0, 1, 0]},
            PixelValueTransformationSequence={"RescaleSlope": 2, "RescaleIntercept": -z, "RescaleType": "HU"},
        )
        for z in range(len(frames))
    ]
    made.private_block(0x0099, "FUZZ", create=True).add_new(1, "UN", b"\1\2\3\4")
    made.SpecificCharacterSet, made.PatientName = "ISO_IR 192", "M\u00fcller^\u4f60"
    return made


def table(bits: int) -> Dataset:
    """An item of a VOI LUT Sequence."""
    made = Dataset()
    made.add_new(0x00283002, "US", [16, 0, 16 - bits])
    made.add_new(0x00283006, "US", list(range(0, 16 * 4000, 4000)))
    return made


def group(**macros: dict[str, Any]) -> Dataset:
    """An item of functional groups: macros by keyword, of one item each."""
    made = Dataset()
    for keyword, attributes in macros.items():
        inner = Dataset()
        for name, value in attributes.items():
            setattr(inner, name, value)
        setattr(made, keyword, [inner])
    return made


def palette(index: np.ndarray) -> Dataset:
    """A palette image."""
    made = still(dataset(index, PhotometricInterpretation="PALETTE COLOR"))
    for colour in ("Red", "Green", "Blue"):
        setattr(made, f"{colour}PaletteColorLookupTableDescriptor", [256, 0, 16])
        setattr(made, f"{colour}PaletteColorLookupTableData", np.arange(0, 65536, 256, "<u2").tobytes())
    return made


def saved(made: Dataset, syntax: str) -> bytes:
    """The bytes of a file in that syntax."""
    return through_file(lambda path: save(made, path, syntax=syntax))


def by_gdcm(made: Dataset, process: str) -> bytes:
    """The same file, its frames compressed by GDCM, which alone writes these JPEG processes."""

    def compress(path: Path) -> None:
        plain = save(made, path.with_suffix(".plain"))
        reader, writer = gdcm.ImageReader(), gdcm.ImageWriter()
        reader.SetFileName(str(plain))
        assert reader.Read()
        change = gdcm.ImageChangeTransferSyntax()
        change.SetTransferSyntax(gdcm.TransferSyntax(getattr(gdcm.TransferSyntax, f"JPEG{process}")))
        change.SetInput(reader.GetImage())
        assert change.Change(), process
        writer.SetFileName(str(path))
        writer.SetFile(reader.GetFile())
        writer.SetImage(change.GetOutput())
        assert writer.Write()

    packed = pydicom.dcmread(io.BytesIO(through_file(compress)))
    made.PhotometricInterpretation = packed.PhotometricInterpretation
    made["PixelData"] = packed["PixelData"]  # only these: GDCM signs its files with the time
    return saved(made, packed.file_meta.TransferSyntaxUID)


def through_file(write: Callable[[Path], object]) -> bytes:
    """What `write` writes."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a"
        write(path)
        return path.read_bytes()


# --- NIfTI and pictures ---


def nifti_seeds() -> Iterator[tuple[str, Files]]:
    """(file to read, files): versions, byte orders, types of number, one file and two, plain and gzipped."""
    volume = np.arange(12 * 10 * 8).reshape(12, 10, 8)
    for version in (1, 2):
        for order in "<>":
            for kind in ("i2", "f4", "f8"):
                name = f"nifti{version}{'big' if order == '>' else ''}{kind}"
                data = nifti(volume.astype(f"{order}{kind}"), version)
                yield f"{name}.nii", {f"{name}.nii": data}
                yield f"{name}.nii.gz", {f"{name}.nii.gz": gzip.compress(data, mtime=0)}
        for end in ("", ".gz"):
            pair = halves(volume.astype("<i2"), version)
            packed = {
                name + end: gzip.compress(data, mtime=0) if end else data for name, data in pair.items()
            }
            yield f"pair.hdr{end}", packed
    colour = np.zeros((12, 10, 8), [("R", "u1"), ("G", "u1"), ("B", "u1")])
    colour["R"] = volume % 256
    yield "rgb.nii.gz", {"rgb.nii.gz": gzip.compress(nifti(colour, 1), mtime=0)}
    series = np.stack([volume, volume + 1], axis=-1).astype("<i2")
    yield "series.nii.gz", {"series.nii.gz": gzip.compress(nifti(series, 1), mtime=0)}


def image_of(volume: np.ndarray, version: int, *, pair: bool = False) -> Any:
    """The image in memory, turned."""
    made = {
        (1, False): nibabel.Nifti1Image,
        (2, False): nibabel.Nifti2Image,
        (1, True): nibabel.Nifti1Pair,
        (2, True): nibabel.Nifti2Pair,
    }[version, pair]
    header = made.header_class(endianness=">" if volume.dtype.byteorder == ">" else "<")
    affine = np.array([[0, 0, -2, 9], [1.5, 0.1, 0, 5], [0, 1.5, 0, 3], [0, 0, 0, 1]])
    image: Any = made(volume, affine, header, dtype=volume.dtype.newbyteorder("="))
    image.header.set_xyzt_units("mm")
    return image


def nifti(volume: np.ndarray, version: int) -> bytes:
    """A single file."""
    made: bytes = image_of(volume, version).to_bytes()
    return made


def halves(volume: np.ndarray, version: int) -> Files:
    """The .hdr and the .img of a pair."""
    image = image_of(volume, version, pair=True)
    files = image.make_file_map({"header": io.BytesIO(), "image": io.BytesIO()})
    image.to_file_map(files)
    return {
        f"pair.{end}": files[part].fileobj.getvalue() for end, part in (("hdr", "header"), ("img", "image"))
    }


def raster_seeds() -> Iterator[tuple[str, bytes]]:
    """Pictures of the kinds that are read."""
    deep = np.arange(24 * 20, dtype=np.uint16).reshape(24, 20) * 100
    colour = np.arange(24 * 20 * 3, dtype=np.uint8).reshape(24, 20, 3)
    for image, sort in ((Image.fromarray(deep), "deep"), (Image.fromarray(colour), "colour")):
        for form, options in (
            ("png", {}),
            ("tiff", {}),
            ("tiff", {"compression": "tiff_lzw"}),
            ("tiff", {"compression": "tiff_deflate"}),
            *([("jpeg", {})] if sort == "colour" else []),
        ):
            buffer = io.BytesIO()
            image.save(buffer, form, **options)
            yield f"{sort} {options.get('compression', '')}.{form}", buffer.getvalue()
