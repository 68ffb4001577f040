"""Tables of an Explicit VR Big Endian file are big-endian: its pictures equal its little-endian twin's."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from medgan.scans import formats
from tests.scans.phantoms import dataset, save

LITTLE, BIG = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2"
ULTRASOUND = {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.6.1", "Modality": "US"}
PLATE = {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.1", "Modality": "CR"}
INDICES = np.random.default_rng(1).integers(0, 256, (9, 9)).astype(np.uint8)
RED, GREEN, BLUE = np.arange(256), np.arange(256)[::-1], np.arange(256) ** 2 // 256
EXPECTED = np.stack([table[INDICES] for table in (RED, GREEN, BLUE)], axis=-1)


def words(numbers, bits: int, syntax: str) -> bytes:
    """A table as a file holds it: 16-bit words, entries of 8 bits in pairs, the first in the lower half."""
    data = np.asarray(numbers).astype("<u2" if bits == 16 else "u1").tobytes()
    return data if syntax == LITTLE else np.frombuffer(data, "<u2").byteswap().tobytes()


def painting(path, syntax: str, bits: int, *, segmented: bool = False):
    """A palette image; 16-bit tables have their colour in the upper byte."""
    made = dataset(INDICES, **ULTRASOUND, PhotometricInterpretation="PALETTE COLOR")
    for colour, table in (("Red", RED), ("Green", GREEN), ("Blue", BLUE)):
        name = f"{colour}PaletteColorLookupTable"
        setattr(made, f"{name}Descriptor", [256, 0, bits])
        entries = table * 256 if bits == 16 else table
        # PS3.3 C.7.9.2: a discrete segment is its code 0, its length, then its entries.
        stored = [0, 128, *entries[:128], 0, 128, *entries[128:]] if segmented else entries
        setattr(made, f"{'Segmented' if segmented else ''}{name}Data", words(stored, bits, syntax))
    return save(made, path, syntax=syntax)


@pytest.mark.parametrize("segmented", [False, True], ids=["plain", "segmented"])
@pytest.mark.parametrize("bits", [8, 16])
def test_a_palette_gives_the_same_picture_in_either_byte_order(bits, segmented, tmp_path):
    for name, syntax in (("little", LITTLE), ("big", BIG)):
        scan = formats.read(painting(tmp_path / f"{name}.dcm", syntax, bits, segmented=segmented))
        assert np.array_equal(scan.pixels[0], EXPECTED), name


def test_simpleitk_sees_that_picture_too(tmp_path):
    path = painting(tmp_path / "big.dcm", BIG, 16)
    seen = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(path)))[0]
    assert np.array_equal(seen >> 8 if seen.max() > 255 else seen, EXPECTED)


@pytest.mark.parametrize("bits", [8, 16])
def test_so_does_a_voi_look_up_table(bits, tmp_path):
    table = Dataset()
    entries = np.arange(256)[::-1] * (257 if bits == 16 else 1)
    pictures = []
    for name, syntax in (("little", LITTLE), ("big", BIG)):
        table.LUTDescriptor = [256, 0, bits]
        table.add_new(0x00283006, "OW", words(entries, bits, syntax))
        pixels = INDICES.astype("<u2" if syntax == LITTLE else ">u2")
        made = dataset(pixels, **PLATE, VOILUTSequence=Sequence([table]))
        pictures.append(formats.read(save(made, tmp_path / f"{name}.dcm", syntax=syntax)).pixels[0])
    assert np.array_equal(pictures[0], (255 - INDICES).astype(np.float32) / np.float32(255))
    assert np.array_equal(*pictures)
