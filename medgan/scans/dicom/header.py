"""Parse a DICOM file up to its pixels, and refuse everything that is not an image.

The file is read once, as bytes, so that a false length cannot claim memory. Cheap checks come first.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from io import BytesIO
from pathlib import Path

from pydicom.dataset import Dataset, FileDataset
from pydicom.filereader import read_partial
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    MediaStorageDirectoryStorage,
)

from medgan.base.errors import ScanError
from medgan.scans.compressed import MAX_BYTES
from medgan.scans.dicom.attributes import Attributes, get_text, get_texts, get_value
from medgan.scans.dicom.plain import (
    PIXEL_DATA,
    UNDEFINED,
    FileMeta,
    PlainAttributes,
    parse_attributes,
    read_meta,
)
from medgan.scans.dicom.terms import MODALITIES, defined_term

_HEADER_BYTES = 32 << 20
"""Bytes in which a header is searched first."""
MAX_FILE_BYTES = MAX_BYTES
"""Largest file, and largest decoded scan (as float32), in bytes."""
_MAX_INFLATED = 512 << 20
"""Largest data set of a deflated file, in bytes. Deflate compresses up to a thousandfold."""
_PLAIN_HEADER_BYTES = 64 << 10
"""Bytes in which the header of a plain file nearly always ends."""
_PIXEL_TAGS = frozenset({0x7FE00008, 0x7FE00009, PIXEL_DATA})
"""Float, Double Float and plain Pixel Data."""
_OTHER_ENCODINGS = frozenset({ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian})
"""Transfer syntaxes whose attributes are not in Explicit VR Little Endian."""
_ELEMENT_HEAD = 12  # bytes of the longest head of an element
_MAX_FIRST_ELEMENT = (
    256  # bytes that the first element of a file may have: a length, a character set or a UID
)

_IMAGE_CLASSES = frozenset(
    "1.2.840.10008.5.1.4.1.1." + suffix
    for suffix in (
        *("1", "1.1", "1.1.1", "1.2", "1.2.1", "1.3", "1.3.1"),  # CR, DX, MG, IO
        *("2", "2.1", "2.2", "4", "4.1", "4.3", "4.4"),  # CT, MR and their enhanced forms
        *("3", "3.1", "6", "6.1", "6.2", "6.3"),  # ultrasound, photoacoustic
        *("7", "7.1", "7.2", "7.3", "7.4"),  # secondary capture
        *("12.1", "12.1.1", "12.2", "12.2.1", "12.3"),  # angiography, fluoroscopy
        *("13.1.1", "13.1.2", "13.1.3", "13.1.4", "13.1.5"),  # X-ray 3D, tomosynthesis
        *("14.1", "14.2", "20", "5", "128", "128.1", "130"),  # intravascular OCT, NM, PET
        *(
            "77.1",
            "77.2",
            "77.1.1",
            "77.1.1.1",
            "77.1.2",
            "77.1.2.1",
            "77.1.3",
            "77.1.4",
            "77.1.4.1",
        ),  # visible light
        *(
            "77.1.5.1",
            "77.1.5.2",
            "77.1.5.4",
            "77.1.5.5",
            "77.1.5.6",
            "77.1.5.7",
            "77.1.7",
            "77.1.8",
        ),  # eye, skin
    )
)
"""SOP classes of pictures of a patient that are read (PS3.4 table B.5-1)."""
_BEAM = (
    "a picture taken along a treatment beam (RT Image)",
    "Export it as Secondary Capture, PNG or TIFF if it is meant to be learned.",
)
_TILES = (
    "microscopy in tiles (a whole slide)",
    "Export regions of it as PNG or TIFF, for example with OpenSlide, and point medgan at those.",
)
_UNREAD_CLASSES: Mapping[str, tuple[str, str]] = {
    f"1.2.840.10008.5.1.4.1.1.{suffix}": words
    for words, suffixes in {_BEAM: ("481.1", "481.23", "481.24"), _TILES: ("77.1.6", "77.1.9")}.items()
    for suffix in suffixes
}
"""{SOP class of pictures that are not read: (what they are, what to do)}."""
CAPTURE_CLASSES = frozenset(uid for uid in _IMAGE_CLASSES if uid.startswith("1.2.840.10008.5.1.4.1.1.7"))
"""SOP classes of secondary captures."""


@dataclass(frozen=True, slots=True, eq=False)
class DicomFile:
    """A parsed DICOM file."""

    dataset: Attributes
    """Everything before the pixels. For a plain file, only what an image needs."""
    data: bytes
    """The file (inflated if it was deflated), or its beginning where only the header is needed."""
    syntax: UID
    sop_class: str
    size: int
    """Bytes of the whole file, where `data` is the file's own."""
    pixels: _PixelElement
    notes: tuple[str, ...] = ()

    @property
    def modality(self) -> str:
        """DICOM Modality where the standard defines it, else ""."""
        return defined_term(get_text(self.dataset, "Modality"), MODALITIES)

    @property
    def value(self) -> memoryview:
        """The bytes of the pixel data element."""
        end = None if self.pixels.length == UNDEFINED else self.pixels.start + self.pixels.length
        return memoryview(self.data)[self.pixels.start : end]


@dataclass(slots=True)
class _PixelElement:
    """Where the pixel data element is. The parser fills this in when it gets there."""

    tag: int = 0
    """0 when there is none."""
    vr: str = "OW"
    start: int = 0
    """Offset of its value."""
    length: int = 0
    """Declared bytes, or `UNDEFINED` where encapsulated (PS3.5 section A.4)."""

    def stop_at(self, tag: int, vr: str | None, length: int) -> bool:
        """Stop the parser at any kind of Pixel Data, and remember where it is."""
        if tag not in _PIXEL_TAGS:
            return False
        # PS3.5 section 7.1.2: an explicit VR of these takes 12 bytes before the value, an implicit one 8.
        self.tag, self.vr, self.length = int(tag), vr or "OW", length
        self.start = 8 if vr is None else 12
        return True


def looks_like_dicom(head: bytes) -> bool:
    """Whether the first bytes of a file are DICOM.

    They have the prefix, or without a preamble begin with an element of group 2 or 8.
    """
    if head[128:132] == b"DICM":
        return True
    if len(head) < _ELEMENT_HEAD or head[:2] not in {b"\x02\x00", b"\x08\x00", b"\x00\x08"}:
        return False
    explicit = head[4:6].isalpha() and head[4:6].isupper()
    return explicit or struct.unpack_from("<I", head, 4)[0] <= _MAX_FIRST_ELEMENT


def load_file(path: Path, *, whole: bool, plain: bool = True) -> DicomFile:
    """Read and parse a file, completely or as far as its header goes.

    Args:
        path: The file.
        whole: Read all of it, including the pixels.
        plain: Try the fast parser of plain files before the full one.
    """
    with path.open("rb", buffering=0) as stream:
        size = os.fstat(stream.fileno()).st_size
        data = stream.read(size if whole and size <= _HEADER_BYTES else _PLAIN_HEADER_BYTES)
        if not data:
            raise ScanError(
                "is empty", verdict="error:empty-file", hint="Copy the file again from its source."
            )
        if not looks_like_dicom(data):
            raise ScanError("is not a DICOM file", verdict="skip:not-dicom")
        # What the file meta group says may be enough to refuse the file.
        head = read_meta(data)
        _refuse_other_classes(head.sop_class)
        if whole and size > MAX_FILE_BYTES:
            raise ScanError(f"has {size} bytes, more than {MAX_FILE_BYTES}", verdict="error:too-large")
        data += stream.read() if whole and len(data) < size else b""
        file = _parse_plain(data, head, size) if plain else None
        if file is None:
            data += stream.read(max(_HEADER_BYTES - len(data), 0)) if not whole else b""
            file = _parse(data, size, whole=whole)
        if not whole and not file.pixels.tag and size > _HEADER_BYTES:
            file = _parse(data + stream.read(MAX_FILE_BYTES), size, whole=True)
    _refuse_non_images(file)
    return file


@lru_cache
def _make_syntax(uid: bytes) -> UID:
    """A transfer syntax by its UID.

    Cached, because creating one for each of a million files takes time.
    """
    return UID(uid.decode("ascii", "replace"))


@lru_cache
def _is_explicit_little(syntax: UID) -> bool:
    """Whether attributes are in Explicit VR Little Endian.

    They are under every compressed syntax (PS3.5 section A.4).
    """
    return syntax.is_transfer_syntax and syntax not in _OTHER_ENCODINGS


def _parse_plain(data: bytes, head: FileMeta, size: int) -> DicomFile | None:
    """Parse the bytes of a plain file.

    None where the file is not plain, or where its pixels begin beyond `data`.
    """
    syntax = _make_syntax(head.syntax)
    if data[128:132] != b"DICM" or not _is_explicit_little(syntax):
        return None
    found = parse_attributes(data, head.end)
    if found is None:
        return None
    dataset, at = found
    _, _, vr, _, length = struct.unpack_from("<HH2sHI", data, at)
    if vr not in {b"OB", b"OW"}:
        return None
    place = _PixelElement(PIXEL_DATA, vr.decode(), at + _ELEMENT_HEAD, length)
    sop_class = get_text(dataset, "SOPClassUID") or head.sop_class
    return DicomFile(dataset, data, syntax, sop_class, size, place)


def _parse(data: bytes, size: int, *, whole: bool) -> DicomFile:
    """Parse the bytes of any file up to its pixels."""
    head = read_meta(data)
    if head.syntax == DeflatedExplicitVRLittleEndian.encode():
        data = _inflate(data, head.end, _MAX_INFLATED if whole else _HEADER_BYTES)
        size = len(data) if whole else MAX_FILE_BYTES
    place = _PixelElement()
    stream = BytesIO(data)
    dataset = read_partial(stream, stop_when=place.stop_at, force=True)
    place.start += stream.tell()
    named = get_text(dataset.file_meta, "TransferSyntaxUID")
    syntax = UID(named or _detect_syntax(dataset))
    notes = () if named else ("repaired:no-meta",)
    sop_class = get_text(dataset, "SOPClassUID") or get_text(dataset.file_meta, "MediaStorageSOPClassUID")
    return DicomFile(dataset, data, syntax, sop_class, size, place, notes)


def _detect_syntax(dataset: FileDataset) -> UID:
    """The native transfer syntax of a file that does not name one."""
    implicit, little = dataset.original_encoding
    if implicit or implicit is None:
        return ImplicitVRLittleEndian
    return ExplicitVRLittleEndian if little else ExplicitVRBigEndian


def _inflate(data: bytes, start: int, limit: int) -> bytes:
    """Inflate a deflated file to at most `limit` bytes (PS3.5 section A.5).

    The result is a file in Explicit VR Little Endian.
    """
    inflate = zlib.decompressobj(-zlib.MAX_WBITS)
    body = inflate.decompress(data[start:], limit)
    if limit == _MAX_INFLATED and inflate.unconsumed_tail:
        raise ScanError(f"inflates to more than {limit} bytes", verdict="error:too-large")
    uid = ExplicitVRLittleEndian.encode() + b"\0"
    element = struct.pack("<HH2sH", 2, 0x0010, b"UI", len(uid)) + uid
    length = struct.pack("<HH2sHI", 2, 0, b"UL", 4, len(element))
    return bytes(128) + b"DICM" + length + element + body


def _refuse_other_classes(uid: str) -> None:
    """Refuse a file that names a class of objects other than images.

    Its header, which may be huge, is not parsed.
    """
    if uid == MediaStorageDirectoryStorage:
        raise ScanError(
            "is a DICOMDIR, a list of files. The files themselves are read without it",
            verdict="skip:dicomdir",
        )
    if uid in _UNREAD_CLASSES:
        words, hint = _UNREAD_CLASSES[uid]
        raise ScanError(f"holds {words}, which medgan does not read", verdict="skip:unread-format", hint=hint)
    if uid and UID(uid).name == uid:
        raise ScanError(
            f"is of a DICOM class that the standard does not define ({uid}), so its content is unknown",
            verdict="skip:not-image",
            hint="If it is an image, export it again in the class of its modality.",
        )
    if uid and uid not in _IMAGE_CLASSES:
        raise ScanError(f"holds {UID(uid).name}, not an image", verdict="skip:not-image")


def _refuse_non_images(file: DicomFile) -> None:
    """Refuse what the parsed header shows not to be an image.

    Reasons are the kind of object, damage, and mosaics.
    """
    _refuse_other_classes(
        "" if "DirectoryRecordSequence" not in file.dataset else str(MediaStorageDirectoryStorage)
    )
    _refuse_other_classes(file.sop_class)
    if not file.pixels.tag:
        _refuse_without_pixels(file)
    if file.pixels.tag != PIXEL_DATA:
        raise ScanError("stores floating-point numbers, a map rather than an image", verdict="skip:not-image")
    if "MOSAIC" in get_texts(file.dataset, "ImageType"):
        raise ScanError(
            "is a Siemens mosaic, many slices tiled into one image",
            verdict="skip:mosaic",
            hint="Convert the series to NIfTI with dcm2niix and use that.",
        )


def _refuse_without_pixels(file: DicomFile) -> None:
    """Say why a file without pixels is refused.

    It is not DICOM at all, is cut off inside its header, or is complete but not an image.
    """
    rows = "Rows" in file.dataset
    if file.data[128:132] != b"DICM" and not (file.sop_class and rows):
        raise ScanError("is not a DICOM file", verdict="skip:not-dicom")
    assert not isinstance(file.dataset, PlainAttributes), "a plain file has pixels"
    length = _missing_bytes(file.dataset)
    if length > MAX_FILE_BYTES:
        raise ScanError(f"has an attribute that claims {length} bytes", verdict="error:malformed")
    if not rows or length:
        raise ScanError(
            "ends inside its header"
            if length
            else "has neither pixels nor their size: it was cut off, or is not an image",
            verdict="error:truncated-header",
            hint="Copy the file again from its source.",
        )
    raise ScanError("has a header but no pixels", verdict="skip:no-pixels")


def _missing_bytes(dataset: Dataset) -> int:
    """How many bytes the last attribute lacks of its claim.

    The parser itself does not report this.
    """
    last = dataset.get_item(max(dataset.keys())) if len(dataset) else None
    length = getattr(last, "length", None)  # absent where the value was converted already, as in sequences
    held = getattr(last, "value", None)
    if not isinstance(held, bytes) or not isinstance(length, int) or length == UNDEFINED:
        return 0
    return length - len(held)


def refuse_missing_attributes(file: DicomFile, keywords: tuple[str, ...]) -> None:
    """Refuse an image without the attributes that its pixels need."""
    missing = [keyword for keyword in keywords if get_value(file.dataset, keyword) is None]
    if missing:
        raise ScanError(
            f"lacks {', '.join(missing)}",
            verdict="error:missing-attribute",
            hint="Repair or remove the file.",
        )
