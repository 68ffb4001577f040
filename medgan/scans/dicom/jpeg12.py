"""Decode lossy JPEG of 12 bits (ISO 10918-1 processes 2 and 4) with GDCM.

pydicom gives such streams to no plug-in that decodes them.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.uid import JPEGExtended12Bit

try:
    import gdcm
except ImportError:  # it comes with the extra `codecs`
    gdcm = None

BITS = 12
"""Bits per value of the streams that are decoded here."""


def is_installed() -> bool:
    """Whether GDCM is installed."""
    return gdcm is not None


def decode(stream: bytes, rows: int, columns: int, *, signed: bool) -> NDArray[np.integer[Any]]:
    """Decode a sound gray stream to words (rows, columns).

    Raises:
        ValueError: GDCM finds no picture of this size in it.
    """
    # Wrap the stream as the pixel data of an image.
    fragment = gdcm.Fragment()
    fragment.SetByteStringValue(stream)
    fragments = gdcm.SequenceOfFragments.New()
    fragments.AddFragment(fragment)
    element = gdcm.DataElement(gdcm.Tag(0x7FE0, 0x0010))
    element.SetValue(fragments.__ref__())
    image = gdcm.Image()
    image.SetNumberOfDimensions(2)
    image.SetDimensions((columns, rows, 1))
    image.SetDataElement(element)
    image.SetPixelFormat(gdcm.PixelFormat(1, 16, BITS, BITS - 1, int(signed)))
    gray = gdcm.PhotometricInterpretation.GetPIType("MONOCHROME2")
    image.SetPhotometricInterpretation(gdcm.PhotometricInterpretation(gray))
    syntax = gdcm.TransferSyntax.GetTSType(str.__str__(JPEGExtended12Bit))
    image.SetTransferSyntax(gdcm.TransferSyntax(syntax))
    # Decode it.
    with _silence_stderr():
        data = image.GetBuffer()
    words = np.frombuffer(data.encode("utf-8", "surrogateescape"), "<i2" if signed else "<u2")
    if words.size != rows * columns:
        raise ValueError(f"GDCM gives {words.size} of {rows * columns} pixels")
    return words.reshape(rows, columns)


@contextmanager
def _silence_stderr() -> Iterator[None]:
    """Discard what C libraries write to file descriptor 2.

    GDCM first tries its decoder for 8 bits, which complains about each such stream.
    """
    kept = -1
    with suppress(OSError):  # a process may have no standard error
        kept = os.dup(2)
    if kept < 0:
        yield
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
