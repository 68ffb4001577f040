"""Decode the frames of a DICOM file to stored values.

Layout and size are checked first, and damaged streams are kept from the decoders that they would crash.
"""

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
"""Syntaxes whose streams are checked by `find_damage` before GDCM sees them, as are those of JPEG Extended
with 12 bits."""
_MAX_ROWS = (1 << 16) - 1
"""Largest value of Rows and Columns. A stream that claims more is damaged."""
_ITEM = 0xE000FFFE  # (FFFE,E000) read as one little-endian number
_GRAY = frozenset({"MONOCHROME1", "MONOCHROME2"})
_PALETTE = "PALETTE COLOR"
_ONE_SAMPLE = _GRAY | {_PALETTE}
"""Photometric interpretations with one sample per pixel."""


@dataclass(frozen=True, slots=True)
class PixelModule:
    """The image pixel module of a file (PS3.3 C.7.6.3)."""

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
        """Whether the decoded frames are RGB."""
        return self.photometric not in _GRAY

    @property
    def bits(self) -> int:
        """Bits per value after decoding. A palette gives 8."""
        return 8 if self.photometric == _PALETTE else self.layout.bits

    @property
    def stored_bytes(self) -> int:
        """Bytes of all frames without compression (PS3.5 section 8.1.1).

        YBR_FULL_422 shares its chroma between two pixels.
        """
        bits = self.frames * self.rows * self.columns * self.samples * self.allocated
        return -(-(bits * 2 // 3 if self.photometric == "YBR_FULL_422" else bits) // 8)


def read_pixel_module(file: DicomFile) -> PixelModule:
    """Read and check the image pixel module.

    All checks that need no decoding are made here.

    Raises:
        ScanError: the module is incomplete, contradictory or too large, or its syntax cannot be decoded.
    """
    # Read the module.
    refuse_missing_attributes(file, _REQUIRED)
    dataset = file.dataset
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
    # Check it, cheap checks first.
    _refuse_nonsense(found)
    _refuse_size(found)
    if found.photometric == _PALETTE:
        refuse_missing_palette(file)
    check_syntax(file)
    _refuse_length(file, found)
    return found


def _refuse_nonsense(found: PixelModule) -> None:
    """Refuse values that contradict the standard or each other."""
    layout = found.layout
    if found.allocated not in {1, 8, 16, 32}:
        raise bad_value_error("BitsAllocated", f"{found.allocated} is not one of 1, 8, 16, 32")
    if not 1 <= layout.bits <= found.allocated:
        raise bad_value_error("BitsStored", f"{layout.bits} of {found.allocated} bits allocated")
    if not layout.bits - 1 <= layout.high_bit < found.allocated:
        raise bad_value_error("HighBit", f"{layout.high_bit} for {layout.bits} of {found.allocated} bits")
    if found.frames < 0:
        raise bad_value_error("NumberOfFrames", str(found.frames))
    if found.samples != (1 if found.photometric in _ONE_SAMPLE else 3):
        raise bad_value_error("SamplesPerPixel", f"{found.samples} for {found.photometric}")


def _refuse_size(found: PixelModule) -> None:
    """Refuse images that would not fit `MAX_FILE_BYTES` as float32."""
    frame = found.rows * found.columns * (3 if found.color else 1) * 4
    if not 0 < frame <= MAX_FILE_BYTES:
        raise ScanError(
            f"claims {found.rows} rows and {found.columns} columns",
            verdict="error:bad-dimensions",
            hint="Repair or remove the file.",
        )
    if frame * found.frames > MAX_FILE_BYTES:
        raise ScanError(
            f"would take {frame * found.frames} bytes when decoded, more than {MAX_FILE_BYTES}",
            verdict="error:too-large",
            hint="Split the file into parts.",
        )


def _refuse_length(file: DicomFile, found: PixelModule) -> None:
    """Refuse native pixels that are fewer than the header claims."""
    if file.pixels.length == UNDEFINED:
        return
    there = min(file.pixels.length, max(file.size - file.pixels.start, 0))
    if there < found.stored_bytes:
        raise _truncation_error(there, found.stored_bytes, "bytes")


def _truncation_error(got: int, expected: int, unit: str) -> ScanError:
    """The error for pixels that are cut off."""
    return ScanError(
        f"is cut off: {got} of {expected} {unit} of pixels are there",
        verdict="error:truncated",
        hint="Copy the file again from its source.",
    )


def has_excess_bytes(file: DicomFile, found: PixelModule) -> bool:
    """Whether more than one byte of padding follows the last native frame."""
    return UNDEFINED != file.pixels.length > found.stored_bytes + 1


def decode_frames(file: DicomFile, found: PixelModule) -> Iterator[tuple[Stored, Stored]]:
    """Yield each frame as (words as stored, values in them).

    Frames in colour are RGB, and both are the same.
    """
    if file.pixels.length != UNDEFINED:
        words = _native_frames(file, found) if _is_flat(file, found) else _decode_with_plugin(file, found, "")
        yield from (_finish_frame(file, found, frame) for frame in words)
        return
    precision = _check_streams(file, found)
    deep = file.syntax == JPEGExtended12Bit and precision == jpeg12.BITS
    if precision <= found.layout.bits:
        # A codec aligns values by the precision of its own stream, whatever High Bit says.
        found = replace(found, layout=replace(found.layout, high_bit=found.layout.bits - 1))
    frames = _decode_12_bit_jpeg(file, found) if deep else _decompress_frames(file, found)
    yield from (_finish_frame(file, found, words) for words in frames)


def _is_flat(file: DicomFile, found: PixelModule) -> bool:
    """Whether the pixels are whole little-endian words in a row.

    Nothing is left to decode then.
    """
    return found.samples == 1 and found.allocated in {8, 16} and file.syntax.is_little_endian


def _native_frames(file: DicomFile, found: PixelModule) -> Iterator[Stored]:
    """The frames of flat pixels, as views of the file's bytes."""
    kind = np.dtype(f"<{'i' if found.layout.signed else 'u'}{found.allocated // 8}")
    count = found.frames * found.rows * found.columns
    return iter(np.frombuffer(file.value, kind, count).reshape(found.frames, found.rows, found.columns))


def _finish_frame(file: DicomFile, found: PixelModule, words: Stored) -> tuple[Stored, Stored]:
    """Put byte order, bits and palette of a decoded frame right."""
    words = words.astype(words.dtype.newbyteorder("="), copy=False)
    if not found.color:
        return words, extract_values(words, found.layout)
    if found.photometric == _PALETTE:
        words = apply_palette(
            file, extract_values(words, replace(found.layout, signed=False)).astype(np.uint16)
        )
    return words, words


def _decompress_frames(file: DicomFile, found: PixelModule) -> Iterator[Stored]:
    """Decode all frames with the best plug-in.

    The next one is tried only if not a single frame was decoded.
    """
    said: list[str] = []
    for plugin in installed_plugins(file):
        frames = _decode_with_plugin(file, found, plugin)
        try:
            first = next(frames)
        # Plug-ins raise whatever their C libraries make of a bad stream.
        except Exception as error:  # noqa: BLE001
            said.append(" ".join(str(error).rpartition("plugins:")[2].split()))
            continue
        yield first
        yield from frames
        return
    raise _decode_error(file, "; ".join(said))


def _decode_12_bit_jpeg(file: DicomFile, found: PixelModule) -> Iterator[Stored]:
    """Decode all frames of a gray, lossy JPEG of 12 bits.

    None of the plug-ins can do it.
    """
    if not jpeg12.is_installed():
        raise missing_codec_error(f"{file.syntax.name} with {jpeg12.BITS} bits")
    if found.color or found.allocated != WORD:
        raise _decode_error(
            file, f"{jpeg12.BITS} bits where the header says colour or {found.allocated} bits"
        )
    for stream in islice(_compressed_frames(file, found), found.frames):
        try:
            yield jpeg12.decode(stream, found.rows, found.columns, signed=found.layout.signed)
        # GDCM's wrapper raises whatever its C++ makes of a bad stream.
        except Exception as error:
            raise _decode_error(file, str(error)) from error


def _decode_error(file: DicomFile, why: str) -> ScanError:
    """The error for compressed pixels that are damaged or of an unknown kind."""
    return ScanError(
        f"its {file.syntax.name} pixels cannot be decoded ({why})",
        verdict="error:decode-failed",
        hint="Copy the file again from its source; if it opens elsewhere, convert it there.",
    )


def _decode_with_plugin(file: DicomFile, found: PixelModule, plugin: str) -> Iterator[Stored]:
    """Yield frames as pydicom decodes them, colour as RGB.

    pydicom's correction of unused bits is off, because it ignores High Bit.
    """
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
        "planar_configuration": get_integer(file.dataset, "PlanarConfiguration", 0) if found.color else 0,
        "pixel_keyword": "PixelData",
        "pixel_vr": file.pixels.vr,
        "correct_unused_bits": False,
        "allow_excess_frames": False,
    }
    if offsets := _extended_offsets(file):
        options["extended_offsets"] = offsets
    frames = find_decoder(file.syntax).iter_array(bytes(file.value), decoding_plugin=plugin, **options)
    return _catch_panics(words for words, _ in islice(frames, found.frames))


def _catch_panics(frames: Iterator[Stored]) -> Iterator[Stored]:
    """Yield the same frames, turning a panic of a codec into an exception.

    A codec written in Rust raises what is not an Exception when it panics, and no caller would catch it.
    """
    try:
        yield from frames
    except (Exception, KeyboardInterrupt, SystemExit, GeneratorExit):
        raise
    except BaseException as error:
        raise ValueError(f"plugins: {error}") from error


def _extended_offsets(file: DicomFile) -> tuple[bytes, bytes] | None:
    """The extended offset table (PS3.3 C.7.6.3.1.8).

    It says where frames begin, even beyond 4 GiB.
    """
    offsets, lengths = (get_value(file.dataset, f"ExtendedOffsetTable{end}") for end in ("", "Lengths"))
    return (offsets, lengths) if isinstance(offsets, bytes) and isinstance(lengths, bytes) else None


def _check_streams(file: DicomFile, found: PixelModule) -> int:
    """Check every compressed frame before a decoder gets it.

    The result is the number of bits per value, 0 where there is no frame.
    """
    _refuse_cut_fragments(file.value)
    precision, count = 0, 0
    for frame in _compressed_frames(file, found):
        size = read_stream_size(frame)
        _refuse_stream(file, found, frame, size)
        precision, count = max(precision, size[2] if size else found.allocated), count + 1
        if count == found.frames:
            break
    if count < found.frames:
        raise _truncation_error(count, found.frames, "frames")
    return precision


def _compressed_frames(file: DicomFile, found: PixelModule) -> Iterator[bytes]:
    """The compressed frames as they are in the file."""
    table = _extended_offsets(file)
    return generate_frames(bytes(file.value), number_of_frames=found.frames, extended_offsets=table)


def _refuse_stream(
    file: DicomFile, found: PixelModule, frame: bytes, size: tuple[int, int, int] | None
) -> None:
    """Refuse a frame that would crash or hang a decoder, or that has a wrong size.

    Decoders reshape a stream of other proportions silently, which scrambles the picture.
    """
    # Streams that hang a decoder, and other sizes than the header's.
    if has_circular_boxes(frame):
        raise _decode_error(file, "its JP2 boxes lead nowhere")
    if size and max(size[:2]) > _MAX_ROWS:
        raise _decode_error(file, f"a stream claims {size[0]} x {size[1]} pixels")
    if size and size[:2] != (found.rows, found.columns):
        raise ScanError(
            f"its compressed frame has {size[0]} x {size[1]} pixels, its header says {found.rows} x "
            f"{found.columns}",
            verdict="error:dimension-mismatch",
            hint="Repair or remove the file.",
        )
    # Streams over which GDCM would end the process.
    bits = size[2] if size else 0
    deep = file.syntax == JPEGExtended12Bit and bits > BYTE
    if deep and bits != jpeg12.BITS:
        raise _decode_error(file, f"a stream claims {bits} bits, and this compression has 8 or 12")
    if (file.syntax in _HUFFMAN_SYNTAXES or deep) and (said := find_damage(frame)):
        raise _decode_error(file, said)
    if file.syntax in _JPEG_LS and lacks_end_marker(frame):
        raise _decode_error(file, "a stream has no end")


def _refuse_cut_fragments(data: memoryview) -> None:
    """Refuse encapsulated pixels whose last item is cut off (PS3.5 section A.4)."""
    at = 0
    while len(data) >= at + 8:
        tag, length = struct.unpack_from("<II", data, at)
        if tag != _ITEM:
            return
        at += 8 + length
    if at > len(data):
        raise _truncation_error(len(data), at, "bytes")
