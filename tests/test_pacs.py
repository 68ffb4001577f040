"""The page on sending to a PACS, followed to the letter: its commands, on a folder that `balance` wrote."""

import re
import shlex
import subprocess
from pathlib import Path

import numpy as np
import pydicom
import pytest

from medgan.commands.balance import balance
from medgan.commands.options import BalanceOptions
from medgan.dataset.source import Source
from medgan.scans import formats
from tests.commands.blobs import rows_of, untrained
from tests.scans.strangers import serving, tool

PAGE = Path(__file__).parents[1] / "docs" / "how-to" / "pacs.md"


def command(program):
    """The words of the first command on the page that begins with `program`."""
    found = re.search(rf"^    {program} (.*)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert found, f"the page has no command of {program}"
    return shlex.split(found[1])


@pytest.fixture(scope="module")
def balanced(cut_scans, tmp_path_factory):
    """A finished folder of CT images in DICOM, 8 and 4 real ones and 4 synthetic ones."""
    place = tmp_path_factory.mktemp("pacs")
    source = Source(path=cut_scans)
    balance(source, place / "balanced", options=BalanceOptions(model=untrained(place / "run", source)))
    return place / "balanced"


def test_the_commands_of_the_page_bring_every_image_to_the_server_and_back_equal(balanced, tmp_path):
    storescu = tool("storescu", "dcmtk")
    *start, port = command("storescp")
    assert "received" in start
    *send, address, to, what = command("storescu")
    assert (to, what) == (port, "outgoing/images")
    folder = tmp_path / "received"
    with serving(folder, *(str(folder) if word == "received" else word for word in start)) as listens:
        done = subprocess.run(
            [storescu, *send, address, str(listens), str(balanced / "images")],
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    rows = {row["sop_instance_uid"]: row for row in rows_of(balanced)}
    arrived = {str(pydicom.dcmread(path).SOPInstanceUID): path for path in folder.iterdir()}
    assert set(arrived) == set(rows)
    assert len(rows) == 18  # twelve real, three synthetic of each class; a repeat is the same instance
    assert {row["origin"] for row in rows.values()} == {"real", "synthetic"}
    for uid, path in arrived.items():
        sent = balanced / rows[uid]["path"]
        assert pydicom.dcmread(path) == pydicom.dcmread(sent)
        assert np.array_equal(formats.read(path).pixels, formats.read(sent).pixels)


def test_synthetic_patients_are_found_as_the_page_says(balanced):
    page = PAGE.read_text(encoding="utf-8")
    assert "Patient ID `SYN-*`" in page
    for row in rows_of(balanced):
        file = pydicom.dcmread(balanced / row["path"])
        assert file.PatientID.startswith("SYN-" if row["origin"] == "synthetic" else "REAL-")
        assert file.SyntheticData == ("YES" if row["origin"] == "synthetic" else "NO")
