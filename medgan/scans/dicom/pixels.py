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
from medgan.scans.dicom.attributes import bad_value_error, get_integer, get_text, get_value
from medgan.scans.dicom.codecs import GDCM, check_syntax, find_decoder, installed_plugins, missing_codec_error
from medgan.scans.dicom.header import MAX_FILE_BYTES, DicomFile, refuse_missing_attributes
from medgan.scans.dicom.palette import apply_palette, refuse_missing_palette
from medgan.scans.dicom.plain import UNDEFINED
from medgan.scans.dicom.streams import find_damage, has_circular_boxes, lacks_end_marker, read_stream_size
from medgan.scans.intensity import BitLayout, Stored, extract_values
from medgan.scans.provenance import BYTE, WORD

_REQUIRED = (
    *("Rows", "Columns", "BitsAllocated", "BitsStored", "PixelRepresentation"),
    *("SamplesPerPixel", "PhotometricInterpretation"),
)
_JPEG_LS = frozenset({JPEGLSLossless, JPEGLSNearLossless})
_HUFFMAN_SYNTAXES = frozenset({JPEGLossless, JPEGLosslessSV1})
"""Syntaxes of which GDCM sees each stream only after `find_damage` has, as it does those of JPEG Extended with 12 bits."""
_MAX_ROWS = (1 << 16) - 1
"""What Rows and Columns can hold: more in a stream is damage."""
_ITEM = 0xE000FFFE  # (FFFE,E000) read as one little-endian number
_GRAY = frozenset({"MONOCHROME1", "MONOCHROME2"})
_PALETTE = "PALETTE COLOR"
_ONE_SAMPLE = _GRAY | {_PALETTE}
"""Photometric interpretations of one sample per pixel."""


@dataclass(frozen=True, slots=True)
class PixelModule:
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
        return self.photometric not in _GRAY

    @property
    def bits(self) -> int:
        """Bits per value after decoding; a palette yields 8."""
        return 8 if self.photometric == _PALETTE else self.layout.bits

    @property
    def stored_bytes(self) -> int:
        """Bytes of all frames when not compressed (PS3.5 section 8.1.1; YBR_FULL_422 shares its chroma)."""
        bits = self.frames * self.rows * self.columns * self.samples * self.allocated
        return -(-(bits * 2 // 3 if self.photometric == "YBR_FULL_422" else bits) // 8)


def read_pixel_module(source: DicomFile) -> PixelModule:
    """Read and check the image pixel module; every gate that needs no decoding is here."""
    refuse_missing_attributes(source, _REQUIRED)
    dataset = source.dataset
    bits = get_integer(dataset, "BitsStored", 0)
    layout = BitLayout(
        bits, get_integer(dataset, "HighBit", bits - 1), get_integer(dataset, "PixelRepresentation", 0) == 1
    )
    found = PixelModule(
        frames=get_integer(dataset, "NumberOfFrames", 1) or 1,
        rows=get_integer(dataset, "Rows", 0),
        columns=get_integer(dataset, "Columns", 0),
        samples=get_integer(dataset, "SamplesPerPixel", 1),
        photometric=get_text(dataset, "PhotometricInterpretation").upper(),
        allocated=get_integer(dataset, "BitsAllocated", 0),
        layout=layout,
    )
    _refuse_nonsense(found)
    _refuse_size(found)
    if found.photometric == _PALETTE:
        refuse_missing_palette(source)
    check_syntax(source)
    _refuse_length(source, found)
    return found


def _refuse_nonsense(found: PixelModule) -> None:
    """Refuse values that contradict the standard or each other."""
    layout = found.layout
    if found.allocated not in {1, 8, 16, 32}:
        raise bad_value_error("BitsAllocated", f"{found.allocated} is none of 1, 8, 16, 32")
    if not 1 <= layout.bits <= found.allocated:
        raise bad_value_error("BitsStored", f"{layout.bits} of {found.allocated} bits allocated")
    if not layout.bits - 1 <= layout.high_bit < found.allocated:
        raise bad_value_error("HighBit", f"{layout.high_bit} for {layout.bits} of {found.allocated} bits")
    if found.frames < 0:
        raise bad_value_error("NumberOfFrames", str(found.frames))
    if found.samples != (1 if found.photometric in _ONE_SAMPLE else 3):
        raise bad_value_error("SamplesPerPixel", f"{found.samples} for {found.photometric}")


def _refuse_size(found: PixelModule) -> None:
    """The size gate before anything is decoded: what would come out, as float32, must fit `MAX_FILE_BYTES`."""
    frame = found.rows * found.columns * (3 if found.color else 1) * 4
    if not 0 < frame <= MAX_FILE_BYTES:
        raise ScanError(
            f"claims {found.rows} rows and {found.columns} columns",
            verdict="error:bad-dimensions",
            hint="Repair or remove the file.",
        )
    if frame * found.frames > MAX_FILE_BYTES:
        raise ScanError(
            f"would take {frame * found.frames} bytes decoded, more than {MAX_FILE_BYTES}",
            verdict="error:too-large",
            hint="Split the file into parts.",
        )


def _refuse_length(source: DicomFile, found: PixelModule) -> None:
    """Refuse native pixels that are fewer than the header promises."""
    if source.pixels.length == UNDEFINED:
        return
    there = min(source.pixels.length, max(source.size - source.pixels.start, 0))
    if there < found.stored_bytes:
        raise _truncation_error(there, found.stored_bytes, "bytes")


def _truncation_error(got: int, expected: int, unit: str) -> ScanError:
    """The error for pixels that are cut off."""
    return ScanError(
        f"is cut off: {got} of {expected} {unit} of pixels are there",
        verdict="error:truncated",
        hint="Copy the file again from its source.",
    )


def has_excess_bytes(source: DicomFile, found: PixelModule) -> bool:
    """Whether more bytes than one of padding follow the last native frame."""
    return UNDEFINED != source.pixels.length > found.stored_bytes + 1


def decode_frames(source: DicomFile, found: PixelModule) -> Iterator[tuple[Stored, Stored]]:
    """Each frame as (words as stored, values in them); colour frames are RGB and both are the same."""
    if source.pixels.length != UNDEFINED:
        words = (
            _native_frames(source, found)
            if _is_flat(source, found)
            else _decode_with_plugin(source, found, "")
        )
        yield from (_finish_frame(source, found, frame) for frame in words)
        return
    precision = _check_streams(source, found)
    deep = source.syntax == JPEGExtended12Bit and precision == jpeg12.BITS
    if precision <= found.layout.bits:
        # A codec aligns values by the precision of its own stream, whatever High Bit says.
        found = replace(found, layout=replace(found.layout, high_bit=found.layout.bits - 1))
    frames = _decode_12_bit_jpeg(source, found) if deep else _decompress_frames(source, found)
    yield from (_finish_frame(source, found, words) for words in frames)


def _is_flat(source: DicomFile, found: PixelModule) -> bool:
    """Whether the pixels are whole little-endian words, one after the other: nothing is left to decode."""
    return found.samples == 1 and found.allocated in {8, 16} and source.syntax.is_little_endian


def _native_frames(source: DicomFile, found: PixelModule) -> Iterator[Stored]:
    """The frames of flat pixels, as views of the file's bytes."""
    kind = np.dtype(f"<{'i' if found.layout.signed else 'u'}{found.allocated // 8}")
    count = found.frames * found.rows * found.columns
    return iter(np.frombuffer(source.value, kind, count).reshape(found.frames, found.rows, found.columns))


def _finish_frame(source: DicomFile, found: PixelModule, words: Stored) -> tuple[Stored, Stored]:
    """One decoded frame with byte order, bits and palette put right."""
    words = words.astype(words.dtype.newbyteorder("="), copy=False)
    if not found.color:
        return words, extract_values(words, found.layout)
    if found.photometric == _PALETTE:
        words = apply_palette(
            source, extract_values(words, replace(found.layout, signed=False)).astype(np.uint16)
        )
    return words, words


def _decompress_frames(source: DicomFile, found: PixelModule) -> Iterator[Stored]:
    """All frames by the best plug-in; the next one has its turn only if not a single frame came out."""
    said: list[str] = []
    for plugin in installed_plugins(source):
        frames = _decode_with_plugin(source, found, plugin)
        try:
            first = next(frames)
        # Plug-ins raise whatever their C libraries make of a bad stream.
        except Exception as error:  # noqa: BLE001
            said.append(" ".join(str(error).rpartition("plugins:")[2].split()))
            continue
        yield first
        yield from frames
        return
    raise _decode_error(source, "; ".join(said))


def _decode_12_bit_jpeg(source: DicomFile, found: PixelModule) -> Iterator[Stored]:
    """All frames of a gray JPEG of 12 bits with loss, which none of the plug-ins decodes."""
    if not jpeg12.is_installed():
        raise missing_codec_error(f"{source.syntax.name} with {jpeg12.BITS} bits")
    if found.color or found.allocated != WORD:
        raise _decode_error(
            source, f"{jpeg12.BITS} bits where the header says colour or {found.allocated} bits"
        )
    for stream in islice(_compressed_frames(source, found), found.frames):
        try:
            yield jpeg12.decode(stream, found.rows, found.columns, signed=found.layout.signed)
        # GDCM's wrapper raises whatever its C++ makes of a bad stream.
        except Exception as error:
            raise _decode_error(source, str(error)) from error


def _decode_error(source: DicomFile, why: str) -> ScanError:
    """The error for compressed pixels that are damaged, or of a kind that no decoder here knows."""
    return ScanError(
        f"its {source.syntax.name} pixels cannot be decoded ({why})",
        verdict="error:decode-failed",
        hint="Copy the file again from its source; if it opens elsewhere, convert it there.",
    )


def _decode_with_plugin(source: DicomFile, found: PixelModule, plugin: str) -> Iterator[Stored]:
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
        "planar_configuration": get_integer(source.dataset, "PlanarConfiguration", 0) if found.color else 0,
        "pixel_keyword": "PixelData",
        "pixel_vr": source.pixels.vr,
        "correct_unused_bits": False,
        "allow_excess_frames": False,
    }
    if offsets := _extended_offsets(source):
        options["extended_offsets"] = offsets
    frames = find_decoder(source.syntax).iter_array(bytes(source.value), decoding_plugin=plugin, **options)
    return _catch_panics(words for words, _ in islice(frames, found.frames))


def _catch_panics(frames: Iterator[Stored]) -> Iterator[Stored]:
    """The same frames; a codec in Rust that panics raises what is no Exception, and nobody above would catch it."""
    try:
        yield from frames
    except (Exception, KeyboardInterrupt, SystemExit, GeneratorExit):
        raise
    except BaseException as error:
        raise ValueError(f"plugins: {error}") from error


def _extended_offsets(source: DicomFile) -> tuple[bytes, bytes] | None:
    """The extended offset table (PS3.3 C.7.6.3.1.8), which tells where frames begin, also beyond 4 GiB."""
    offsets, lengths = (get_value(source.dataset, f"ExtendedOffsetTable{end}") for end in ("", "Lengths"))
    return (offsets, lengths) if isinstance(offsets, bytes) and isinstance(lengths, bytes) else None


def _check_streams(source: DicomFile, found: PixelModule) -> int:
    """Look at every compressed frame before a decoder does; return the bits per value it has (0: there is none)."""
    _refuse_cut_fragments(source.value)
    precision, count = 0, 0
    for frame in _compressed_frames(source, found):
        size = read_stream_size(frame)
        _refuse_stream(source, found, frame, size)
        precision, count = max(precision, size[2] if size else found.allocated), count + 1
        if count == found.frames:
            break
    if count < found.frames:
        raise _truncation_error(count, found.frames, "frames")
    return precision


def _compressed_frames(source: DicomFile, found: PixelModule) -> Iterator[bytes]:
    """The compressed frames, as they lie in the file."""
    table = _extended_offsets(source)
    return generate_frames(bytes(source.value), number_of_frames=found.frames, extended_offsets=table)


def _refuse_stream(
    source: DicomFile, found: PixelModule, frame: bytes, size: tuple[int, int, int] | None
) -> None:
    """Refuse a frame over which a decoder would never end or end the process, and one of another size than the header's.

    Decoders reshape a stream of other proportions without a word, which scrambles the picture.
    """
    if has_circular_boxes(frame):
        raise _decode_error(source, "its JP2 boxes lead nowhere")
    if size and max(size[:2]) > _MAX_ROWS:
        raise _decode_error(source, f"a stream claims {size[0]} x {size[1]} pixels")
    if size and size[:2] != (found.rows, found.columns):
        raise ScanError(
            f"its compressed frame has {size[0]} x {size[1]} pixels, its header says {found.rows} x {found.columns}",
            verdict="error:dimension-mismatch",
            hint="Repair or remove the file.",
        )
    bits = size[2] if size else 0
    deep = source.syntax == JPEGExtended12Bit and bits > BYTE
    if deep and bits != jpeg12.BITS:
        raise _decode_error(source, f"a stream claims {bits} bits, and this compression has 8 or 12")
    if (source.syntax in _HUFFMAN_SYNTAXES or deep) and (said := find_damage(frame)):
        raise _decode_error(source, said)
    if source.syntax in _JPEG_LS and lacks_end_marker(frame):
        raise _decode_error(source, "a stream has no end")


def _refuse_cut_fragments(data: memoryview) -> None:
    """Walk the items of encapsulated pixels (PS3.5 section A.4) to see whether the last one is whole."""
    at = 0
    while len(data) >= at + 8:
        tag, length = struct.unpack_from("<II", data, at)
        if tag != _ITEM:
            return
        at += 8 + length
    if at > len(data):
        raise _truncation_error(len(data), at, "bytes")
