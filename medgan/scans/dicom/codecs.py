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
"""Plug-ins per compressed syntax, best first: the same file gives the same pixels whatever else is installed.

GDCM ends the whole process over some damaged streams: it is asked only where no other is installed, and about sound JPEG.
"""

find_decoder = lru_cache(get_decoder)
"""pydicom's decoder for a syntax; looked up once, for every file asks three times."""


def check_syntax(source: DicomFile) -> None:
    """Refuse syntaxes nobody decodes here, those whose codec is not installed, and pixels that contradict their syntax."""
    compressed, encapsulated = _is_compressed(_require_decoder(source)), source.pixels.length == UNDEFINED
    if compressed and not encapsulated:
        raise ScanError(
            f"says its pixels are compressed ({source.syntax.name}), but they are not",
            verdict="error:not-encapsulated",
        )
    if encapsulated and not compressed:
        raise ScanError(
            f"says its pixels are not compressed ({source.syntax.name}), but they are",
            verdict="error:encapsulated",
        )
    if compressed and not installed_plugins(source):
        raise missing_codec_error(source.syntax.name)


@lru_cache
def _is_compressed(decoder: Decoder) -> bool:
    """Whether pixels of its syntax come in fragments; pydicom works it out anew each time it is asked."""
    return decoder.is_encapsulated


def _require_decoder(source: DicomFile) -> Decoder:
    """The decoder of pydicom for the transfer syntax."""
    try:
        return find_decoder(source.syntax)
    except NotImplementedError as error:
        raise ScanError(
            f"has the transfer syntax {source.syntax.name}, which is not supported",
            verdict="skip:unsupported-syntax",
            hint="Convert it to Explicit VR Little Endian, for example with dcmtk's dcmdjpeg or gdcmconv.",
        ) from error


def installed_plugins(source: DicomFile) -> tuple[str, ...]:
    """The installed plug-ins for the syntax, best first."""
    available = find_decoder(source.syntax).available_plugins
    installed = tuple(plugin for plugin in _CODECS.get(source.syntax, ()) if plugin in available)
    return installed if installed[:1] == (GDCM,) else tuple(plugin for plugin in installed if plugin != GDCM)


def missing_codec_error(what: str) -> ScanError:
    """The error for a compression whose decoder is not installed."""
    return ScanError(
        f"is compressed as {what}, and no decoder for that is installed",
        verdict="error:missing-codec",
        hint=INSTALL_EXTRA.format("codecs"),
    )
