"""Choose the decoders of a transfer syntax, or refuse it."""

from __future__ import annotations

from functools import lru_cache

from pydicom.pixels.decoders.base import Decoder, get_decoder
from pydicom.uid import (
    HTJ2K,
    JPEG2000,
    HTJ2KLossless,
    HTJ2KLosslessRPCL,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)

from medgan.base.errors import INSTALL_EXTRA, ScanError
from medgan.scans.dicom.header import DicomFile
from medgan.scans.dicom.plain import UNDEFINED

GDCM = "gdcm"
_CODECS: dict[str, tuple[str, ...]] = {
    RLELossless: ("pylibjpeg", "pydicom"),
    JPEGBaseline8Bit: ("pillow", "pylibjpeg"),
    JPEGExtended12Bit: ("pillow", "pylibjpeg"),
    JPEGLossless: ("gdcm", "pylibjpeg"),
    JPEGLosslessSV1: ("gdcm", "pylibjpeg"),
    JPEGLSLossless: ("pyjpegls", "gdcm"),
    JPEGLSNearLossless: ("pyjpegls", "gdcm"),
    JPEG2000Lossless: ("pylibjpeg", "pillow", "gdcm"),
    JPEG2000: ("pylibjpeg", "pillow", "gdcm"),
    HTJ2KLossless: ("pylibjpeg",),
    HTJ2KLosslessRPCL: ("pylibjpeg",),
    HTJ2K: ("pylibjpeg",),
}
"""{compressed transfer syntax: plug-ins, best first}. The order is fixed, so that a file gives the same
pixels whatever else is installed.

GDCM ends the whole process over some damaged streams. It is used only where no other plug-in is installed,
and for JPEG that was checked before."""

find_decoder = lru_cache(get_decoder)
"""pydicom's decoder for a syntax, looked up once because every file needs it three times."""


def check_syntax(file: DicomFile) -> None:
    """Refuse a transfer syntax that cannot be decoded here.

    That is one nobody supports, one whose codec is not installed, or one that the pixels contradict.
    """
    compressed, encapsulated = _is_compressed(_require_decoder(file)), file.pixels.length == UNDEFINED
    if compressed and not encapsulated:
        raise ScanError(
            f"says its pixels are compressed ({file.syntax.name}), but they are not",
            verdict="error:not-encapsulated",
        )
    if encapsulated and not compressed:
        raise ScanError(
            f"says its pixels are not compressed ({file.syntax.name}), but they are",
            verdict="error:encapsulated",
        )
    if compressed and not installed_plugins(file):
        raise missing_codec_error(file.syntax.name)


@lru_cache
def _is_compressed(decoder: Decoder) -> bool:
    """Whether the pixels of this syntax come in fragments.

    Cached, because pydicom works it out each time.
    """
    return decoder.is_encapsulated


def _require_decoder(file: DicomFile) -> Decoder:
    """The decoder of pydicom for the transfer syntax of a file."""
    try:
        return find_decoder(file.syntax)
    except NotImplementedError as error:
        raise ScanError(
            f"has the transfer syntax {file.syntax.name}, which is not supported",
            verdict="skip:unsupported-syntax",
            hint="Convert it to Explicit VR Little Endian, for example with dcmtk's dcmdjpeg or gdcmconv.",
        ) from error


def installed_plugins(file: DicomFile) -> tuple[str, ...]:
    """The installed plug-ins for the syntax of a file, best first."""
    available = find_decoder(file.syntax).available_plugins
    installed = tuple(plugin for plugin in _CODECS.get(file.syntax, ()) if plugin in available)
    return installed if installed[:1] == (GDCM,) else tuple(plugin for plugin in installed if plugin != GDCM)


def missing_codec_error(what: str) -> ScanError:
    """The error for a compression whose decoder is not installed."""
    return ScanError(
        f"is compressed as {what}, and no decoder for that is installed",
        verdict="error:missing-codec",
        hint=INSTALL_EXTRA.format("codecs"),
    )
