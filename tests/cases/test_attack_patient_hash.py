"""Hospital numbers cannot be found by trial from anything that is written of real images."""

import csv
import hashlib
import json
import re
from itertools import chain

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import SecondaryCaptureImageStorage, generate_uid

from medgan.base.files import digest
from medgan.commands.balance import balance
from medgan.commands.inspect import inspect
from medgan.commands.options import BalanceOptions
from medgan.dataset.index import index
from medgan.dataset.source import Source
from tests.commands.blobs import tree, untrained
from tests.dataset.conftest import save

NUMBERS = {"normal": [f"{n:07d}" for n in range(4, 10)], "rare": ["0000017", "0000018"]}


def scans_of(root, numbers=NUMBERS, *, name="{:03d}"):
    """Two captures of 16 x 24 pixels per patient; the pixels depend on the place in the list alone."""
    chance = np.random.default_rng(3)
    for label, patients in numbers.items():
        (root / label).mkdir(parents=True)
        for place, patient in enumerate(patients * 2):
            dataset = Dataset()
            dataset.SOPClassUID = SecondaryCaptureImageStorage
            dataset.SOPInstanceUID = generate_uid(entropy_srcs=[label, str(place)])
            dataset.PatientID, dataset.Modality = patient, "OT"
            dataset.Rows, dataset.Columns = 16, 24
            dataset.BitsAllocated = dataset.BitsStored = 8
            dataset.HighBit, dataset.PixelRepresentation = 7, 0
            dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
            dataset.PixelData = chance.integers(0, 256, (16, 24), dtype=np.uint8).tobytes()
            save(dataset, root / label / f"{name.format(place)}.dcm")
    return Source(path=root)


def balanced(source, out, real):
    """A folder of the source, topped up by a generator that never trained."""
    model = untrained(out.with_name("model"), source)
    balance(source, out, options=BalanceOptions(model=model, real=real, no_filter=True))
    return out


def traces(number, pixels):
    """Digests of an identifier by what strangers can know: nothing, or the table's digests as a salt."""
    plain = digest(number)[:32]
    salts = ["", *pixels, digest("salt", *sorted(pixels)), digest("salt", *pixels)]
    for way in (hashlib.md5, hashlib.sha1, hashlib.sha256, hashlib.sha512):
        yield way(number.encode()).hexdigest()
        yield from (way((salt + number).encode()).hexdigest() for salt in salts)
    for word in (number, plain):
        yield digest(word)
        yield digest("patient", word)
        for salt in salts:
            yield digest(salt, word)
            yield digest(salt, "patient", word)


@pytest.mark.parametrize("real", ["prepared", "link"])
def test_no_digest_of_a_known_number_is_in_what_is_written(tmp_path, real):
    out = balanced(scans_of(tmp_path / "scans"), tmp_path / "out", real)
    with (out / "manifest.csv").open(newline="", encoding="utf-8") as stream:
        rows = [row for row in csv.DictReader(stream) if row["origin"] == "real"]
    assert len({row["patient"] for row in rows}) == 8
    pixels = [row["pixel_sha256"] for row in rows]
    found = tree(out) if real == "prepared" else {n: b for n, b in tree(out).items() if "_re" not in n}
    words = set(re.findall(rb"[0-9a-f]{8,}", b"\n".join(found.values()).lower()))
    for number in chain(*NUMBERS.values()):
        heads = {trace[:16].encode() for trace in traces(number, pixels)}
        assert not any(word[:16] in heads for word in words)


def test_the_trial_finds_what_is_salted_with_the_table(tmp_path):
    """The attack itself works: on a digest that is made as it expects one."""
    pixels = ["aa", "bb"]
    assert digest(digest("salt", *pixels), "patient", digest("0000017")[:32]) in set(
        traces("0000017", pixels)
    )


def test_other_numbers_for_the_same_patients_change_no_byte(tmp_path):
    """What is written says which images are of one patient, and no more: no identifier has any part in it."""
    others = {label: [f"X{number}^" for number in reversed(numbers)] for label, numbers in NUMBERS.items()}
    first = balanced(scans_of(tmp_path / "a" / "scans"), tmp_path / "a" / "out", "prepared")
    second = balanced(scans_of(tmp_path / "b" / "scans", others), tmp_path / "b" / "out", "prepared")
    for out in (first, second):
        (out / "report.html").unlink()  # names the folder it lies in
    assert tree(first) == tree(second)


def test_other_numbers_leave_the_hold_out_and_the_list_of_files_as_they_were(tmp_path):
    others = {label: [number[::-1] for number in numbers] for label, numbers in NUMBERS.items()}
    first = inspect(scans_of(tmp_path / "a"), holdout=0.3, files=True).as_json()
    second = inspect(scans_of(tmp_path / "b", others), holdout=0.3, files=True).as_json()
    for file in (*first["files"], *second["files"]):
        del file["file"]  # where it lies on this disk
    assert "val" in {file["split"] for file in first["files"]}
    assert json.dumps(first) == json.dumps(second)


def test_two_patients_with_numbers_in_one_order_come_in_the_order_of_their_pixels(tmp_path):
    """An order by identifier would say who is older in the hospital's books."""
    records = index(scans_of(tmp_path / "scans")).training()
    names = [record.patient for record in records if record.label == "normal"]
    assert names == sorted(names)
    assert all(re.fullmatch("[0-9a-f]{16}", name) for name in names)
