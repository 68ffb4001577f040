"""Read PNG, JPEG and TIFF, and write PNG with provenance.

Values are on the fixed scale of their bits. Pillow decodes (skimage.io reads by it too). tifffile, the other
reader behind skimage.io, decodes what Pillow would reduce to 8 bits: deep colour, signed numbers and
fractions in TIFF.
"""

from __future__ import annotations

import io
import json
import logging
import math
import struct
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.sax.saxutils import quoteattr

import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image, ImageOps, PngImagePlugin

from medgan.base.errors import ScanError
from medgan.base.files import write_bytes
from medgan.scans.compressed import MAX_BYTES
from medgan.scans.finite import fill_non_finite
from medgan.scans.labelmap import has_few_levels, is_named_as_mask
from medgan.scans.provenance import BYTE, NOTICES, SOFTWARE, image_facts, quantise, stored_range
from medgan.scans.scan import Header, OutputFormat, Pixels, Provenance, Scan
from medgan.scans.tiff_pages import walk_pages

SUFFIX = ".png"
_CIRCULAR_NOTE = "circular-pages"
"""Note on a TIFF file whose page list runs in a circle."""
_SOURCE_TYPE = "http://cv.iptc.org/newscodes/digitalsourcetype/"
"""IPTC NewsCodes: how a picture came about."""
_SYNTHETIC_SOURCE = _SOURCE_TYPE + "trainedAlgorithmicMedia"
_REAL_SOURCE = _SOURCE_TYPE + "algorithmicallyEnhanced"

_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")  # little and big endian; the last two are BigTIFF
_KINDS = {b"\x89PNG\r\n\x1a\n": "png", b"\xff\xd8\xff": "jpeg"} | dict.fromkeys(_TIFF, "tiff")
_WORD = 16  # bits
_DEPTH = {"I;16": _WORD, "I;16B": _WORD, "I;16L": _WORD, "I;16N": _WORD}  # Pillow's modes that are not 8 bits
_GRAY = {"1", "L", "LA", "La", *_DEPTH}
_STORED = {"1", "L", "P", "I", "F", *_DEPTH}
"""Pillow's modes of one number per pixel."""
_COLOURS = 3
_ORIENTATION, _SIDEWAYS = 274, {5, 6, 7, 8}  # TIFF and EXIF tag; its values that exchange rows and columns
_CAMERA = 271, 272  # Make and Model
_PHOTOMETRIC, _WHITE_IS_ZERO = 262, 0
_CUT = ("truncated", "incomplete", "unexpected end")
_UNSIGNED = 1  # TIFF SampleFormat
_PNG_DEPTH = slice(24, 26)  # bit depth and colour type in IHDR
_PNG_DEEP_COLOUR = {b"\x10\x02", b"\x10\x04", b"\x10\x06"}  # 16 bits with colour or alpha: Pillow keeps 8
_XMP = """<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about="" xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
 Iptc4xmpExt:DigitalSourceType={source}/></rdf:RDF></x:xmpmeta>
<?xpacket end="r"?>"""

# What tifffile would log becomes a verdict instead.
logging.getLogger("tifffile").addHandler(logging.NullHandler())


@dataclass(frozen=True, slots=True)
class _Picture:
    """An opened file."""

    header: Header
    meaning: str
    frames: Iterator[NDArray[Any]]
    """(Y, X) or (Y, X, 3), decoded as they are needed."""


def read_header(path: Path) -> Header:
    """What the file says of its size, depth and frames.

    TIFF pages unlike the first (thumbnails) do not count.
    """
    with _open_picture(path) as picture:
        return picture.header


def read(path: Path) -> Scan:
    """Read all frames as displayed, as (Z, Y, X) or (Z, Y, X, 3).

    Palette and white-is-zero are resolved, and alpha is dropped.
    """
    with _open_picture(path) as picture:
        header = picture.header
        pixels = np.empty((*header.shape, header.channels)[: 3 if header.channels == 1 else 4], np.float32)
        for place, frame in enumerate(picture.frames):
            pixels[place] = frame
    pixels, found = fill_non_finite(pixels, path)
    if is_named_as_mask(path) and has_few_levels(pixels):
        raise ScanError(f"{path.name}: labels, not intensities", verdict="skip:segmentation")
    found += ("constant",) if pixels.min() == pixels.max() else ()
    return Scan(pixels=pixels, meaning=picture.meaning, bits=header.bits, notes=header.notes + found)


def read_labels(path: Path) -> NDArray[Any]:
    """Read all pages as stored, (Z, Y, X) or (Z, Y, X, 3): of a palette image the numbers, not the colours.

    A colour image whose channels are equal counts as gray.

    Raises:
        ScanError: the picture is a JPEG, which changes values, or is damaged.
    """
    with _verdicts(path):
        kind = _require_kind(path)
        if kind == "jpeg":
            raise ScanError(
                f"{path.name}: JPEG changes the values of a mask",
                verdict="error:not-labels",
                hint="Save the mask as PNG or TIFF.",
            )
        with _open_picture(path):
            pass  # it is whole, and of a size that fits
        with path.open("rb") as stream, Image.open(stream) as image:
            places = _pages_like_first(image) if kind == "tiff" else [0]
            pages = np.stack([_stored_page(image, place) for place in places])
    gray = pages.ndim == 3 or (pages == pages[..., :1]).all()  # Z, Y, X
    return pages[..., 0] if gray and pages.ndim > 3 else pages


def _stored_page(image: Image.Image, place: int) -> NDArray[Any]:
    """One page as stored: palette indices stay numbers; alpha is dropped."""
    image.seek(place)
    image.load()
    if image.mode in _STORED:
        return np.asarray(image).astype(np.float32)
    return np.asarray(image.convert("L" if image.mode in _GRAY else "RGB")).astype(np.float32)


@contextmanager
def _open_picture(path: Path) -> Iterator[_Picture]:
    """Open a file with its checksums verified (PNG) and its size within bounds.

    Any error becomes a verdict.
    """
    with _verdicts(path):
        kind = _require_kind(path)
        pages, circular = walk_pages(path) if kind == "tiff" else (1, False)
        if kind == "tiff":
            with tifffile.TiffFile(path) as tiff:
                if _is_deep(tiff.pages.first):
                    yield _check_bounds(_read_with_tifffile(tiff, pages, circular=circular), path)
                    return
        if kind == "png":
            with Image.open(path) as image:
                image.verify()  # loading stops at the last row and would miss a damaged or missing end
        # From a stream: by its name, Pillow would map an uncompressed TIFF with the sides it has once turned.
        with path.open("rb") as stream, Image.open(stream) as image:
            yield _check_bounds(_read_with_pillow(image, kind, path, circular=circular), path)


def detect_kind(head: bytes) -> str:
    """The kind of a file by its first bytes: "png", "jpeg", "tiff", or ""."""
    return next((kind for magic, kind in _KINDS.items() if head.startswith(magic)), "")


def _require_kind(path: Path) -> str:
    head = _first_bytes(path)
    if not head:
        raise ScanError(f"{path.name}: is empty", verdict="error:empty-file")
    kind = detect_kind(head)
    if not kind:
        raise ScanError(f"{path.name}: is not PNG, JPEG or TIFF", verdict="skip:not-raster")
    return kind


def _check_bounds(picture: _Picture, path: Path) -> _Picture:
    size = math.prod(picture.header.shape) * picture.header.channels * 4  # float32
    if size > MAX_BYTES:
        raise ScanError(
            f"{path.name}: {size} bytes of pixels, more than {MAX_BYTES}", verdict="error:too-large"
        )
    return picture


@contextmanager
def _verdicts(path: Path) -> Iterator[None]:
    """Turn the exceptions of decoders into verdicts.

    For a damaged file they raise nearly anything. An OSError with a number comes from the disk and passes.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            yield
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        raise ScanError(f"{path.name}: {error}", verdict="error:too-large") from error
    except (OSError, SyntaxError, ValueError, EOFError, LookupError, TypeError, struct.error) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        cut = isinstance(error, EOFError) or any(word in str(error).lower() for word in _CUT)
        verdict = "error:truncated" if cut else "error:decode-failed"
        raise ScanError(
            f"{path.name}: {error}", verdict=verdict, hint="Copy or export the file again."
        ) from error


# --- What Pillow reads completely --------------------------------------------------------------------


def _read_with_pillow(image: Image.Image, kind: str, path: Path, *, circular: bool) -> _Picture:
    places = _pages_like_first(image) if kind == "tiff" else [0]
    # Pillow has turned the sides of a TIFF already.
    sideways = kind != "tiff" and image.getexif().get(_ORIENTATION) in _SIDEWAYS
    columns, rows = image.size[::-1] if sideways else image.size
    xmp = str(image.info.get("XML:com.adobe.xmp", "")) + str(image.info.get("xmp", ""))
    notes = {
        "synthetic": _SYNTHETIC_SOURCE in xmp,
        "reduced-to-8-bit": kind == "png" and _first_bytes(path)[_PNG_DEPTH] in _PNG_DEEP_COLOUR,
        _CIRCULAR_NOTE: circular,
    }
    header = Header(
        format=kind,
        shape=(len(places), rows, columns),
        channels=1 if image.mode in _GRAY else _COLOURS,
        bits=_DEPTH.get(image.mode, BYTE),
        photometric=image.mode,
        scanner=_read_scanner(image),
        notes=tuple(note for note, holds in notes.items() if holds),
    )
    return _Picture(header, "stored", (_pillow_frame(image, place) for place in places))


def _read_scanner(image: Any) -> str:
    """What took or compressed the picture.

    It is the maker and model of its EXIF data, and the quantisation tables of a JPEG (ITU-T T.81, B.2.4.1).
    """
    exif, tables = image.getexif(), getattr(image, "quantization", {})
    facts = [str(exif.get(tag, "")) for tag in _CAMERA]
    facts += [str(sorted((key, list(table)) for key, table in tables.items()))] if tables else []
    return "\n".join(facts) if any(facts) else ""


def _pages_like_first(image: Any) -> list[int]:
    """Numbers of the pages with the size and mode of the first."""
    forms = []
    for place in range(image.n_frames):
        image.seek(place)
        forms.append((image.size, image.mode))
    image.seek(0)
    return [place for place, form in enumerate(forms) if form == forms[0]]


def _pillow_frame(image: Image.Image, place: int) -> NDArray[Any]:
    """One page as displayed: turned by its Orientation, and white is bright."""
    image.seek(place)
    inverted = image.mode in _DEPTH and getattr(image, "tag_v2", {}).get(_PHOTOMETRIC) == _WHITE_IS_ZERO
    image.load()
    turned = ImageOps.exif_transpose(image)
    if turned.mode in _DEPTH:
        deep = np.asarray(turned)
        return 2**_WORD - 1 - deep if inverted else deep  # Pillow inverts 8 bits only
    return np.asarray(turned.convert("L" if turned.mode in _GRAY else "RGB"))


def _first_bytes(path: Path) -> bytes:
    with path.open("rb") as stream:
        return stream.read(64)


# --- TIFF that Pillow would reduce to 8 bits ---------------------------------------------------------


def _is_deep(page: Any) -> bool:
    """Whether a page has deep colour, signed numbers, fractions or more than 16 bits."""
    colour = page.samplesperpixel > 1 and page.bitspersample > BYTE
    return bool(colour or page.bitspersample > _WORD or page.sampleformat != _UNSIGNED)


def _read_with_tifffile(tiff: Any, pages: int, *, circular: bool) -> _Picture:
    first = tiff.pages.first
    if first.dtype is None or first.dtype.kind not in "uif":
        raise ValueError(f"numbers of type {first.dtype}")
    # By number: iterating, tifffile would follow a circular page list for ever.
    listed = (tiff.pages[number] for number in range(pages))
    alike = [page for page in listed if page.shape == first.shape and page.dtype == first.dtype]
    colour = first.samplesperpixel >= _COLOURS
    turn = first.tags.valueof(_ORIENTATION, 1)
    rows, columns = (first.imagelength, first.imagewidth)[:: -1 if turn in _SIDEWAYS else 1]
    header = Header(
        format="tiff",
        shape=(len(alike), rows, columns),
        channels=_COLOURS if colour else 1,
        bits=first.dtype.itemsize * 8,
        notes=(_CIRCULAR_NOTE,) if circular else (),
    )
    fixed = first.dtype == np.uint16
    return _Picture(
        header,
        "stored" if fixed else "raw",
        (_orient(_tifffile_frame(page, colour=colour), turn) for page in alike),
    )


def _tifffile_frame(page: Any, *, colour: bool) -> NDArray[Any]:
    values: NDArray[Any] = page.asarray()
    samples = np.moveaxis(values, page.axes.index("S"), -1) if "S" in page.axes else values[..., None]
    chosen = samples[..., :_COLOURS] if colour else samples[..., 0]
    whole = page.photometric == _WHITE_IS_ZERO and chosen.dtype == np.uint16
    return 2**_WORD - 1 - chosen if whole else chosen


def _orient(frame: NDArray[Any], orientation: int) -> NDArray[Any]:
    """Rows and columns as displayed (TIFF 6.0, Orientation).

    They are exchanged from value 5 on; then either may run backwards.
    """
    upright = frame.swapaxes(0, 1) if orientation in _SIDEWAYS else frame
    return upright[:: -1 if orientation in {3, 4, 7, 8} else 1, :: -1 if orientation in {2, 3, 6, 7} else 1]


# --- Writing -----------------------------------------------------------------------------------------


def write(path: Path, pixels: Pixels, form: OutputFormat, mark: Provenance) -> None:
    """Write one image, (H, W) or (H, W, 3) in [0, 1], as PNG.

    Gray has 8 or 16 bits, colour 8 bits.
    """
    stored, low, high = _to_samples(pixels, form)
    said = image_facts(form, mark) | {"StoredLow": low, "StoredHigh": high}
    buffer = io.BytesIO()
    # Noise hardly shrinks, and level 1 is five times as fast.
    chunks = text_chunks(said, synthetic=mark.synthetic)
    Image.fromarray(stored).save(buffer, "PNG", pnginfo=chunks, compress_level=1)
    write_bytes(path, buffer.getvalue())


def text_chunks(said: Mapping[str, object], *, synthetic: bool) -> PngImagePlugin.PngInfo:
    """The texts in a PNG that medgan writes: facts, a notice, and whether the picture is synthetic."""
    chunks = PngImagePlugin.PngInfo()
    chunks.add_text("Software", SOFTWARE)
    chunks.add_text("Disclaimer", NOTICES[synthetic])
    chunks.add_itxt("Description", json.dumps(said, sort_keys=True, ensure_ascii=False))
    source = _SYNTHETIC_SOURCE if synthetic else _REAL_SOURCE
    chunks.add_itxt("XML:com.adobe.xmp", _XMP.format(source=quoteattr(source)))
    return chunks


def _to_samples(pixels: Pixels, form: OutputFormat) -> tuple[NDArray[Any], float, float]:
    """The samples, and the samples that pixels 0.0 and 1.0 become."""
    low, high = sample_range(form)
    bits = _sample_bits(form)
    values = quantise(pixels, low, high).clip(0, 2**bits - 1)
    return values.astype(np.uint8 if bits == BYTE else np.uint16), low, high


def sample_range(form: OutputFormat) -> tuple[float, float]:
    """The samples that pixels 0.0 and 1.0 become.

    Integers are stored as they are where the file can hold them, else over its full range. PNG 1.2 section
    12.5 wants samples scaled to the full range; PNG has no sign for HU, and Pillow has no colour of 16 bits.
    """
    bits = _sample_bits(form)
    return stored_range(form) if form.unit == "stored" and form.bits <= bits else (0.0, 2.0**bits - 1)


def _sample_bits(form: OutputFormat) -> int:
    return BYTE if form.bits <= BYTE or form.channels == _COLOURS else _WORD
