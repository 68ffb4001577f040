"""A parsed DICOM file in, its frames as stored values out: layout, size gates, and the traps of damaged streams."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import numpy as np
from pydicom.encaps import generate_frames
from pydicom.uid import (
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
)

from medgan.base.errors import ScanError
from medgan.scans.dicom import jpeg12
from medgan.scans.dicom.attributes import integer, text, unusable, value
from medgan.scans.dicom.codecs import GDCM, decoder_of, missing_codec, plugins, refuse_syntax
from medgan.scans.dicom.header import LARGEST, DicomFile, refuse_missing_attributes
from medgan.scans.dicom.palette import apply_palette, refuse_missing_palette
from medgan.scans.dicom.plain import UNDEFINED
from medgan.scans.dicom.streams import damage, is_circular, is_endless, stream_size
from medgan.scans.intensity import BitLayout, Stored, place
from medgan.scans.provenance import BYTE, WORD

REQUIRED = (
    *("Rows", "Columns", "BitsAllocated", "BitsStored", "PixelRepresentation"),
    *("SamplesPerPixel", "PhotometricInterpretation"),
)
NEIGHBOURS = frozenset({JPEGLSLossless, JPEGLSNearLossless})
HUFFMAN = frozenset({JPEGLossless, JPEGLosslessSV1})
"""Syntaxes of which GDCM sees each stream only after `damage` has, as it does those of JPEG Extended with 12 bits."""
MOST_ROWS = (1 << 16) - 1
"""What Rows and Columns can hold: more in a stream is damage."""
ITEM = 0xE000FFFE  # (FFFE,E000) read as one little-endian number
GRAY = frozenset({"MONOCHROME1", "MONOCHROME2"})
PALETTE = "PALETTE COLOR"
SINGLE = GRAY | {PALETTE}
"""Photometric interpretations of one sample per pixel."""


@dataclass(frozen=True, slots=True)
class Grid:
    """What the image pixel module says of one file (PS3.3 C.7.6.3)."""

    frames: int
    rows: int
    columns: int
    samples: int
    photometric: str
    allocated: int
    """Bits Allocated."""
    layout: BitLayout

    @property
    def color(self) -> bool:
        """Whether the frames come out as RGB."""
        return self.photometric not in GRAY

    @property
    def bits(self) -> int:
        """Bits per value after decoding; a palette yields 8."""
        return 8 if self.photometric == PALETTE else self.layout.bits

    @property
    def stored_bytes(self) -> int:
        """Bytes of all frames when not compressed (PS3.5 section 8.1.1; YBR_FULL_422 shares its chroma)."""
        bits = self.frames * self.rows * self.columns * self.samples * self.allocated
        return -(-(bits * 2 // 3 if self.photometric == "YBR_FULL_422" else bits) // 8)


def grid(source: DicomFile) -> Grid:
    """Read and check the image pixel module; every gate that needs no decoding is here."""
    refuse_missing_attributes(source, REQUIRED)
    dataset = source.dataset
    bits = integer(dataset, "BitsStored", 0)
    layout = BitLayout(
        bits, integer(dataset, "HighBit", bits - 1), integer(dataset, "PixelRepresentation", 0) == 1
    )
    found = Grid(
        frames=integer(dataset, "NumberOfFrames", 1) or 1,
        rows=integer(dataset, "Rows", 0),
        columns=integer(dataset, "Columns", 0),
        samples=integer(dataset, "SamplesPerPixel", 1),
        photometric=text(dataset, "PhotometricInterpretation").upper(),
        allocated=integer(dataset, "BitsAllocated", 0),
        layout=layout,
    )
    refuse_nonsense(found)
    refuse_size(found)
    if found.photometric == PALETTE:
        refuse_missing_palette(source)
    refuse_syntax(source)
    refuse_length(source, found)
    return found


def refuse_nonsense(found: Grid) -> None:
    """Refuse values that contradict the standard or each other."""
    layout = found.layout
    if found.allocated not in {1, 8, 16, 32}:
        raise unusable("BitsAllocated", f"{found.allocated} is none of 1, 8, 16, 32")
    if not 1 <= layout.bits <= found.allocated:
        raise unusable("BitsStored", f"{layout.bits} of {found.allocated} bits allocated")
    if not layout.bits - 1 <= layout.high_bit < found.allocated:
        raise unusable("HighBit", f"{layout.high_bit} for {layout.bits} of {found.allocated} bits")
    if found.frames < 0:
        raise unusable("NumberOfFrames", str(found.frames))
    if found.samples != (1 if found.photometric in SINGLE else 3):
        raise unusable("SamplesPerPixel", f"{found.samples} for {found.photometric}")


def refuse_size(found: Grid) -> None:
    """The size gate before anything is decoded: what would come out, as float32, must fit `LARGEST`."""
    frame = found.rows * found.columns * (3 if found.color else 1) * 4
    if not 0 < frame <= LARGEST:
        raise ScanError(
            f"claims {found.rows} rows and {found.columns} columns",
            verdict="error:bad-dimensions",
            hint="Repair or remove the file.",
        )
    if frame * found.frames > LARGEST:
        raise ScanError(
            f"would take {frame * found.frames} bytes decoded, more than {LARGEST}",
            verdict="error:too-large",
            hint="Split the file into parts.",
        )


def refuse_length(source: DicomFile, found: Grid) -> None:
    """Refuse native pixels that are fewer than the header promises."""
    if source.pixels.length == UNDEFINED:
        return
    there = min(source.pixels.length, max(source.size - source.pixels.start, 0))
    if there < found.stored_bytes:
        raise truncation_error(there, found.stored_bytes, "bytes")


def truncation_error(got: int, expected: int, unit: str) -> ScanError:
    """The error for pixels that are cut off."""
    return ScanError(
        f"is cut off: {got} of {expected} {unit} of pixels are there",
        verdict="error:truncated",
        hint="Copy the file again from its source.",
    )


def excess(source: DicomFile, found: Grid) -> bool:
    """Whether more bytes than one of padding follow the last native frame."""
    return UNDEFINED != source.pixels.length > found.stored_bytes + 1


def decode(source: DicomFile, found: Grid) -> Iterator[tuple[Stored, Stored]]:
    """Each frame as (words as stored, values in them); colour frames are RGB and both are the same."""
    if source.pixels.length != UNDEFINED:
        words = native(source, found) if is_flat(source, found) else decode_frames(source, found, "")
        yield from (frame_values(source, found, frame) for frame in words)
        return
    precision = check_streams(source, found)
    deep = source.syntax == JPEGExtended12Bit and precision == jpeg12.DEEP
    if precision <= found.layout.bits:
        # A codec aligns values by the precision of its own stream, whatever High Bit says.
        found = replace(found, layout=replace(found.layout, high_bit=found.layout.bits - 1))
    frames = twelve_bits(source, found) if deep else decompress_frames(source, found)
    yield from (frame_values(source, found, words) for words in frames)


def is_flat(source: DicomFile, found: Grid) -> bool:
    """Whether the pixels are whole little-endian words, one after the other: nothing is left to decode."""
    return found.samples == 1 and found.allocated in {8, 16} and source.syntax.is_little_endian


def native(source: DicomFile, found: Grid) -> Iterator[Stored]:
    """The frames of flat pixels, as views of the file's bytes."""
    kind = np.dtype(f"<{'i' if found.layout.signed else 'u'}{found.allocated // 8}")
    count = found.frames * found.rows * found.columns
    return iter(np.frombuffer(source.value, kind, count).reshape(found.frames, found.rows, found.columns))


def frame_values(source: DicomFile, found: Grid, words: Stored) -> tuple[Stored, Stored]:
    """One decoded frame with byte order, bits and palette put right."""
    words = words.astype(words.dtype.newbyteorder("="), copy=False)
    if not found.color:
        return words, place(words, found.layout)
    if found.photometric == PALETTE:
        words = apply_palette(source, place(words, replace(found.layout, signed=False)).astype(np.uint16))
    return words, words


def decompress_frames(source: DicomFile, found: Grid) -> Iterator[Stored]:
    """All frames by the best plug-in; the next one has its turn only if not a single frame came out."""
    said: list[str] = []
    for plugin in plugins(source):
        frames = decode_frames(source, found, plugin)
        try:
            first = next(frames)
        # Plug-ins raise whatever their C libraries make of a bad stream.
        except Exception as error:  # noqa: BLE001
            said.append(" ".join(str(error).rpartition("plugins:")[2].split()))
            continue
        yield first
        yield from frames
        return
    raise undecodable(source, "; ".join(said))


def twelve_bits(source: DicomFile, found: Grid) -> Iterator[Stored]:
    """All frames of a gray JPEG of 12 bits with loss, which none of the plug-ins decodes."""
    if not jpeg12.there():
        raise missing_codec(f"{source.syntax.name} with {jpeg12.DEEP} bits")
    if found.color or found.allocated != WORD:
        raise undecodable(
            source, f"{jpeg12.DEEP} bits where the header says colour or {found.allocated} bits"
        )
    for stream in islice(streams_of(source, found), found.frames):
        try:
            yield jpeg12.decode(stream, found.rows, found.columns, signed=found.layout.signed)
        # GDCM's wrapper raises whatever its C++ makes of a bad stream.
        except Exception as error:
            raise undecodable(source, str(error)) from error


def undecodable(source: DicomFile, why: str) -> ScanError:
    """The error for compressed pixels that are damaged, or of a kind that no decoder here knows."""
    return ScanError(
        f"its {source.syntax.name} pixels cannot be decoded ({why})",
        verdict="error:decode-failed",
        hint="Copy the file again from its source; if it opens elsewhere, convert it there.",
    )


def decode_frames(source: DicomFile, found: Grid, plugin: str) -> Iterator[Stored]:
    """Frames as pydicom gives them, colour as RGB, without its correction of unused bits (which ignores High Bit)."""
    options: dict[str, Any] = {
        "rows": found.rows,
        "columns": found.columns,
        "samples_per_pixel": found.samples,
        "photometric_interpretation": found.photometric,
        "bits_allocated": found.allocated,
        # GDCM ends the process over colour whose header tells fewer bits than its stream.
        "bits_stored": found.allocated if plugin == GDCM and found.color else found.layout.bits,
        "pixel_representation": int(found.layout.signed),
        "number_of_frames": found.frames,
        "planar_configuration": integer(source.dataset, "PlanarConfiguration", 0) if found.color else 0,
        "pixel_keyword": "PixelData",
        "pixel_vr": source.pixels.vr,
        "correct_unused_bits": False,
        "allow_excess_frames": False,
    }
    if offsets := extended_offsets(source):
        options["extended_offsets"] = offsets
    frames = decoder_of(source.syntax).iter_array(bytes(source.value), decoding_plugin=plugin, **options)
    return without_panic(words for words, _ in islice(frames, found.frames))


def without_panic(frames: Iterator[Stored]) -> Iterator[Stored]:
    """The same frames; a codec in Rust that panics raises what is no Exception, and nobody above would catch it."""
    try:
        yield from frames
    except (Exception, KeyboardInterrupt, SystemExit, GeneratorExit):
        raise
    except BaseException as error:
        raise ValueError(f"plugins: {error}") from error


def extended_offsets(source: DicomFile) -> tuple[bytes, bytes] | None:
    """The extended offset table (PS3.3 C.7.6.3.1.8), which tells where frames begin, also beyond 4 GiB."""
    offsets, lengths = (value(source.dataset, f"ExtendedOffsetTable{end}") for end in ("", "Lengths"))
    return (offsets, lengths) if isinstance(offsets, bytes) and isinstance(lengths, bytes) else None


def check_streams(source: DicomFile, found: Grid) -> int:
    """Look at every compressed frame before a decoder does; return the bits per value it has (0: there is none)."""
    refuse_cut_fragments(source.value)
    precision, count = 0, 0
    for frame in streams_of(source, found):
        size = stream_size(frame)
        refuse_stream(source, found, frame, size)
        precision, count = max(precision, size[2] if size else found.allocated), count + 1
        if count == found.frames:
            break
    if count < found.frames:
        raise truncation_error(count, found.frames, "frames")
    return precision


def streams_of(source: DicomFile, found: Grid) -> Iterator[bytes]:
    """The compressed frames, as they lie in the file."""
    table = extended_offsets(source)
    return generate_frames(bytes(source.value), number_of_frames=found.frames, extended_offsets=table)


def refuse_stream(source: DicomFile, found: Grid, frame: bytes, size: tuple[int, int, int] | None) -> None:
    """Refuse a frame over which a decoder would never end or end the process, and one of another size than the header's.

    Decoders reshape a stream of other proportions without a word, which scrambles the picture.
    """
    if is_circular(frame):
        raise undecodable(source, "its JP2 boxes lead nowhere")
    if size and max(size[:2]) > MOST_ROWS:
        raise undecodable(source, f"a stream claims {size[0]} x {size[1]} pixels")
    if size and size[:2] != (found.rows, found.columns):
        raise ScanError(
            f"its compressed frame has {size[0]} x {size[1]} pixels, its header says {found.rows} x {found.columns}",
            verdict="error:dimension-mismatch",
            hint="Repair or remove the file.",
        )
    bits = size[2] if size else 0
    deep = source.syntax == JPEGExtended12Bit and bits > BYTE
    if deep and bits != jpeg12.DEEP:
        raise undecodable(source, f"a stream claims {bits} bits, and this compression has 8 or 12")
    if (source.syntax in HUFFMAN or deep) and (said := damage(frame)):
        raise undecodable(source, said)
    if source.syntax in NEIGHBOURS and is_endless(frame):
        raise undecodable(source, "a stream has no end")


def refuse_cut_fragments(data: memoryview) -> None:
    """Walk the items of encapsulated pixels (PS3.5 section A.4) to see whether the last one is whole."""
    at = 0
    while len(data) >= at + 8:
        tag, length = struct.unpack_from("<II", data, at)
        if tag != ITEM:
            return
        at += 8 + length
    if at > len(data):
        raise truncation_error(len(data), at, "bytes")
