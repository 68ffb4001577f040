"""Make damaged scans from numbers. The same number always gives the same bytes.

Seeds are the small files of pydicom's wheel, phantoms in every transfer syntax that can be written here,
NIfTI of both versions, byte orders and layouts, and pictures. A mutant is one of them after one to three
kinds of damage.
"""

from __future__ import annotations

import gzip
import re
import struct
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from tests.scans.seeds import Files, dicom_seeds, nifti_seeds, raster_seeds

SEED = 2026
"""The first word of every mutant's chance; the number of the mutant is the second."""

VRS = (
    b"AE AS AT CS DA DS DT FL FD IS LO LT PN SH SL SS ST TM UI UL US OB OD OF OL OV OW SQ SV UC UN UR UT UV"
).split()
HEADS = re.compile(rb"(?s).{4}(?=(?:%b))" % b"|".join(VRS))
"""An element's tag before its value representation; a match within pixels does no harm."""
GROUPS = re.compile(rb"(?s)(?:\x28\x00|\x18\x00|\x20\x00|\x02\x00|\x08\x00).\x00|\xe0\x7f\x10\x00")
"""The tags that tell most of an image, wherever their bytes stand; implicit VR has no other mark."""
ITEM = b"\xfe\xff\x00\xe0"
LENGTHS = (0, 1, 2, 7, 8, 0xFF, 0xFFFE, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF)
NUMBERS = (0, 1, 2, 3, 7, 15, 16, 17, 31, 32, 64, 255, 256, 4095, 16384, 32767, 32768, 65534, 65535)
WORDS = (
    b"-1",
    b"0",
    b"nan",
    b"inf",
    b"1e308",
    b"-1e-320",
    b"9" * 14,
    b"2147483648",
    b"1\\2",
    b"",
    b"\xff\xfe",
    b"65536",
)
SYNTAXES = (
    "",
    ".1",
    ".1.99",
    ".2",
    ".5",
    *(f".4.{n}" for n in (50, 51, 57, 70, 80, 81, 90, 91, 92, 100, 201, 203)),
)
"""What follows 1.2.840.10008.1.2 in the transfer syntaxes."""
SIZES = (-32768, -1, 0, 1, 2, 3, 5, 7, 8, 255, 1024, 32767)
FLOATS = (0.0, -0.0, 1.0, -1.0, 1e-45, 1e30, -1e30, float("nan"), float("inf"), -float("inf"), 352.0, 1e9)
TYPES = (0, 1, 2, 4, 8, 16, 32, 64, 128, 255, 256, 512, 768, 1024, 1280, 1536, 1792, 2048, 2304, 9999)

Chance = np.random.Generator
Damage = Callable[[bytes, Chance], bytes]


@dataclass(frozen=True)
class Mutant:
    """Files that lie side by side; `name` is the one to read."""

    name: str
    files: Mapping[str, bytes]
    origin: str
    """The seed and what befell it, for people."""


def mutant(number: int) -> Mutant:
    """The mutant of that number."""
    chance = np.random.default_rng((SEED, number))
    kind, name, files = pick(chance, seeds())
    victim = pick(chance, sorted(files))
    data, done = files[victim], []
    for _ in range(int(chance.integers(1, 4))):
        damage = pick(chance, DAMAGES[kind])
        data = damage(data, chance)
        done.append(damage.__name__)
    return Mutant(name, dict(files) | {victim: data}, f"{name}: {', '.join(done)} in {victim}")


def pick(chance: Chance, things: Any) -> Any:
    """One of them."""
    return things[int(chance.integers(len(things)))]


@cache
def seeds() -> tuple[tuple[str, str, Files], ...]:
    """(kind of damage, file to read, all its files) of every seed."""
    dicom = [("dicom", name, {name: data}) for name, data in dicom_seeds()]
    nifti = [("nifti", name, files) for name, files in nifti_seeds()]
    raster = [("raster", name, {name: data}) for name, data in raster_seeds()]
    return (*dicom, *nifti, *raster)


# --- damage to any file: bytes in, bytes out ---


def place(data: bytes, chance: Chance) -> int:
    """An offset; half of the time in the first thousand bytes, where headers are."""
    end = max(len(data), 1)
    return int(chance.integers(min(end, 1000) if chance.integers(2) else end))


def stretch(data: bytes, chance: Chance, longest: int = 200) -> slice:
    """A piece of a file."""
    start = place(data, chance)
    return slice(start, start + int(chance.integers(1, longest)))


def patched(data: bytes, at: int, new: bytes) -> bytes:
    """`new` in the place of as many bytes."""
    return data[:at] + new + data[at + len(new) :]


def flipped(data: bytes, chance: Chance) -> bytes:
    """A few bytes changed."""
    for _ in range(int(chance.integers(1, 9))):
        data = patched(data, place(data, chance), chance.bytes(1)) if data else data
    return data


def bit(data: bytes, chance: Chance) -> bytes:
    """One bit turned round."""
    at = place(data, chance)
    return patched(data, at, bytes([data[at] ^ 1 << int(chance.integers(8))])) if data else data


def cut(data: bytes, chance: Chance) -> bytes:
    """The end missing."""
    return data[: place(data, chance)]


def removed(data: bytes, chance: Chance) -> bytes:
    """A piece missing."""
    piece = stretch(data, chance)
    return data[: piece.start] + data[piece.stop :]


def repeated(data: bytes, chance: Chance) -> bytes:
    """A piece twice or many times."""
    piece = stretch(data, chance)
    return data[: piece.stop] + data[piece] * pick(chance, (1, 1, 2, 100)) + data[piece.stop :]


def filled(data: bytes, chance: Chance) -> bytes:
    """A piece of equal bytes."""
    piece = data[stretch(data, chance)]
    return patched(data, place(data, chance), pick(chance, (b"\0", b"\xff", b"\x80", b" ")) * len(piece))


def spliced(data: bytes, chance: Chance) -> bytes:
    """The end of another file after the beginning of this one."""
    _, _, others = pick(chance, seeds())
    other = others[pick(chance, sorted(others))]
    return data[: place(data, chance)] + other[place(other, chance) :]


def numbered(data: bytes, chance: Chance) -> bytes:
    """A number of two or four bytes, in either order, as large or small as numbers get."""
    form, order = pick(chance, "HI"), pick(chance, "<>")
    value = pick(chance, LENGTHS) & (0xFFFF if form == "H" else 0xFFFFFFFF)
    return patched(data, place(data, chance), struct.pack(order + form, value)) if data else data


# --- damage to DICOM ---


def heads(data: bytes) -> list[int]:
    """Offsets of explicit elements, or of what looks like one."""
    return [found.start() for found in HEADS.finditer(data)] or [
        found.start() for found in GROUPS.finditer(data)
    ]


def head(data: bytes, chance: Chance) -> int:
    """The offset of an element: any one, or one of those that tell most."""
    telling = [found.start() for found in GROUPS.finditer(data)]
    return int(pick(chance, (telling if telling and chance.integers(2) else heads(data)) or [0]))


def items(data: bytes) -> list[int]:
    """Offsets of the items of sequences and fragments."""
    return [found.start() for found in re.finditer(re.escape(ITEM), data)]


def length_lied(data: bytes, chance: Chance) -> bytes:
    """An element or item of another length."""
    at = pick(chance, items(data) or [0]) if chance.integers(3) == 0 else head(data, chance)
    length = pick(chance, LENGTHS)
    short = struct.pack("<H", length & 0xFFFF)
    return pick(
        chance,
        (
            patched(data, at + 6, short),
            patched(data, at + 4, struct.pack("<I", length)),
            patched(data, at + 8, struct.pack("<I", length)),
        ),
    )


def vr_swapped(data: bytes, chance: Chance) -> bytes:
    """An element of another value representation, or of none that there is."""
    return patched(data, head(data, chance) + 4, pick(chance, (*VRS, b"??", b"\0\0")))


def tag_swapped(data: bytes, chance: Chance) -> bytes:
    """An element under the tag of another one."""
    other = head(data, chance)
    return patched(data, head(data, chance), data[other : other + 4])


def element_swapped(data: bytes, chance: Chance) -> bytes:
    """Two neighbouring stretches between elements in each other's place."""
    places = heads(data)
    if len(places) < 3:
        return data
    first = int(chance.integers(len(places) - 2))
    a, b, c = places[first : first + 3]
    return data[:a] + data[b:c] + data[a:b] + data[c:]


def value_lied(data: bytes, chance: Chance) -> bytes:
    """An element with a number that no image has."""
    at = head(data, chance)
    if chance.integers(2):
        return patched(data, at + 8, struct.pack("<H", pick(chance, NUMBERS)))
    word = pick(chance, WORDS)
    word += b" " * (len(word) % 2)
    held = struct.unpack_from("<H", data + bytes(8), at + 6)[0]
    return data[: at + 6] + struct.pack("<H", len(word)) + word + data[at + 8 + held :]


def nested(data: bytes, chance: Chance) -> bytes:
    """Sequences in sequences in front of an element, closed or not."""
    depth, at = pick(chance, (1, 2, 20, 100, 2000)), head(data, chance)
    tag = pick(chance, (b"\x40\x00\x75\x02", b"\x08\x00\x40\x11", data[at : at + 4]))
    opened = pick(
        chance, (tag + b"SQ\0\0\xff\xff\xff\xff", tag + b"\xff\xff\xff\xff", tag + b"UN\0\0\xff\xff\xff\xff")
    )
    closed = b"\xfe\xff\x0d\xe0\0\0\0\0\xfe\xff\xdd\xe0\0\0\0\0"
    inner = (opened + ITEM + b"\xff\xff\xff\xff") * depth + closed * pick(chance, (depth, depth, 0, 1))
    return data[:at] + inner + data[at:]


def fragments(data: bytes) -> tuple[bytes, list[bytes], bytes]:
    """What stands before the items of encapsulated pixels, the items, what stands behind."""
    at, found = data.rfind(b"\xe0\x7f\x10\x00O") + 12, []
    start = at
    while data[at : at + 4] == ITEM and len(data) >= at + 8:
        length = struct.unpack_from("<I", data, at + 4)[0]
        found.append(data[at : at + 8 + length])
        at += 8 + length
    return data[:start], found, data[at:]


def fragments_shuffled(data: bytes, chance: Chance) -> bytes:
    """Fragments in another order, one missing, one twice, one empty."""
    before, found, after = fragments(data)
    if not found:
        return length_lied(data, chance)
    at = int(chance.integers(len(found)))
    changed = pick(
        chance,
        (
            [found[int(k)] for k in chance.permutation(len(found))],
            found[:at] + found[at + 1 :],
            found[:at] + found[at:] + found[at:],
            [*found[:at], ITEM + bytes(4), *found[at:]],
            [part + bytes(len(part) % 2) for part in found[:1]]
            + [
                ITEM + struct.pack("<I", len(found[-1]) // 4 * 2) + found[-1][8 : 8 + len(found[-1]) // 4 * 2]
            ],
        ),
    )
    return before + b"".join(changed) + after


def stream_damaged(data: bytes, chance: Chance) -> bytes:
    """A compressed frame with bytes changed, mostly in its own header, its fragment as long as before."""
    before, found, after = fragments(data)
    if len(found) < 2:
        return value_lied(data, chance)
    at = int(chance.integers(1, len(found)))
    stream = pick(chance, (flipped, flipped, bit, numbered, filled))(found[at][8:], chance)[
        : len(found[at]) - 8
    ]
    return before + b"".join([*found[:at], found[at][:8] + stream, *found[at + 1 :]]) + after


def stream_header_damaged(data: bytes, chance: Chance) -> bytes:
    """One byte of the first hundred of a compressed frame changed: marker segments, sizes, depths, tables."""
    before, found, after = fragments(data)
    if len(found) < 2:
        return numbered(data, chance)
    at = int(chance.integers(1, len(found)))
    held = len(found[at]) - 8
    if held < 1:
        return data
    spot = 8 + int(chance.integers(min(held, 100)))
    value = pick(
        chance, (*(bytes([n]) for n in (0, 1, 2, 8, 12, 16, 17, 32, 33, 64, 127, 128, 255)), chance.bytes(1))
    )
    return before + b"".join([*found[:at], patched(found[at], spot, value), *found[at + 1 :]]) + after


def syntax_swapped(data: bytes, chance: Chance) -> bytes:
    """The file under another transfer syntax."""
    found = re.search(rb"\x02\x00\x10\x00UI(..)([0-9.]*\0?)", data, re.DOTALL)
    if not found:
        return vr_swapped(data, chance)
    uid = b"1.2.840.10008.1.2" + pick(chance, SYNTAXES).encode()
    uid += b"\0" * (len(uid) % 2)
    return data[: found.start(1)] + struct.pack("<H", len(uid)) + uid + data[found.end() :]


def inflated_damage(data: bytes, chance: Chance) -> bytes:
    """Damage inside a deflated data set."""
    at = data.find(b"1.2.840.10008.1.2.1.99")
    try:
        inside = zlib.decompressobj(-15)
        start = 132 + 12 + struct.unpack_from("<I", data, 140)[0]
        body = inside.decompress(data[start:], 1 << 20) if at > 0 else b""
    except (zlib.error, struct.error):
        return data
    if not body:
        return tag_swapped(data, chance)
    packer = zlib.compressobj(wbits=-15)
    return data[:start] + packer.compress(pick(chance, DICOM)(body, chance)) + packer.flush()


# --- damage to NIfTI ---


def unpacked(data: bytes) -> bytes:
    """What is inside a sound gzip file; any other file as it is."""
    try:
        return gzip.decompress(data) if data.startswith(b"\x1f\x8b") else data
    except (OSError, EOFError, zlib.error):
        return data


def inside(damage: Damage) -> Damage:
    """The same damage, done to what a gzip file holds."""

    def done(data: bytes, chance: Chance) -> bytes:
        inner = unpacked(data)
        changed = damage(inner, chance)
        return changed if inner is data else gzip.compress(changed, mtime=0)

    done.__name__ = f"{damage.__name__} inside"
    return done


def header_lied(data: bytes, chance: Chance) -> bytes:
    """A field of the header (nifti1.h, nifti2.h) that says what cannot be."""
    order = "<" if data[:4] in {b"\x5c\1\0\0", b"\x1c\2\0\0"} else ">"
    second = data[:4] in {b"\x1c\2\0\0", b"\0\0\2\x1c"}
    fields = NIFTI2 if second else NIFTI1
    at, form = fields[pick(chance, sorted(fields))]
    if form in "hq" and at in {70, 12}:
        return patched(data, at, struct.pack(order + form, pick(chance, TYPES)))
    values = {"h": SIZES, "i": SIZES, "q": (*SIZES, 2**40, -(2**62), 2**62), "f": FLOATS, "d": FLOATS}[form]
    return patched(data, at, struct.pack(order + form, pick(chance, values)))


def resized(data: bytes, chance: Chance) -> bytes:
    """Another number of dimensions, or another size of one."""
    order = "<" if data[:4] in {b"\x5c\1\0\0", b"\x1c\2\0\0"} else ">"
    at, step, form = (16, 8, "q") if data[:4] in {b"\x1c\2\0\0", b"\0\0\2\x1c"} else (40, 2, "h")
    return patched(data, at + step * int(chance.integers(8)), struct.pack(order + form, pick(chance, SIZES)))


def gzip_damaged(data: bytes, chance: Chance) -> bytes:
    """The gzip header or trailer changed, or another member behind it."""
    return pick(
        chance,
        (
            patched(data, int(chance.integers(10)), chance.bytes(1)),
            patched(data, max(len(data) - 1 - int(chance.integers(8)), 0), chance.bytes(1)),
            data + gzip.compress(chance.bytes(50), mtime=0),
            data + bytes(600) + data,
            data + chance.bytes(20),
            data[: len(data) - int(chance.integers(1, 12))],
            gzip.compress(data, mtime=0),
        ),
    )


NIFTI1 = (
    {f"dim{n}": (40 + 2 * n, "h") for n in range(8)}
    | {f"pixdim{n}": (76 + 4 * n, "f") for n in range(8)}
    | {f"affine{n}": (256 + 4 * n, "f") for n in range(18)}
    | {"intent": (68, "h"), "datatype": (70, "h"), "bitpix": (72, "h"), "vox_offset": (108, "f")}
    | {"scl_slope": (112, "f"), "scl_inter": (116, "f"), "xyzt": (122, "h"), "magic": (344, "i")}
    | {"qform_code": (252, "h"), "sform_code": (254, "h"), "sizeof_hdr": (0, "i")}
)
"""{field: (offset, type)}."""
NIFTI2 = (
    {f"dim{n}": (16 + 8 * n, "q") for n in range(8)}
    | {f"pixdim{n}": (104 + 8 * n, "d") for n in range(8)}
    | {f"affine{n}": (352 + 8 * n, "d") for n in range(18)}
    | {"datatype": (12, "h"), "bitpix": (14, "h"), "vox_offset": (168, "q"), "scl_slope": (176, "d")}
    | {"scl_inter": (184, "d"), "qform_code": (344, "i"), "sform_code": (348, "i"), "xyzt": (500, "i")}
    | {"intent": (504, "i"), "magic": (4, "i"), "sizeof_hdr": (0, "i")}
)

ANY: tuple[Damage, ...] = (flipped, bit, cut, removed, repeated, filled, spliced, numbered)
DICOM: tuple[Damage, ...] = (
    *(length_lied, vr_swapped, tag_swapped, element_swapped, value_lied, value_lied, nested),
    *(fragments_shuffled, stream_damaged, stream_header_damaged, stream_header_damaged, syntax_swapped),
)
NIFTI: tuple[Damage, ...] = (*map(inside, (header_lied, header_lied, resized, *ANY)), gzip_damaged)
DAMAGES: Mapping[str, tuple[Damage, ...]] = {
    "dicom": (*ANY, *DICOM, *DICOM, inflated_damage),
    "nifti": (*ANY, *NIFTI),
    "raster": ANY,
}
"""What may befall a file, by its kind; what is twice is twice as likely."""
