"""What folders of balance, sample and prepare, new or old, tell a trainer."""

import csv
import hashlib
import json
import shutil
from dataclasses import replace

import pytest

from medgan.base.job import ALONE
from medgan.commands.balance import balance
from medgan.commands.options import BalanceOptions, DrawOptions
from medgan.commands.prepare import prepare
from medgan.commands.report import report
from medgan.commands.sample import sample
from medgan.dataset.source import Source
from medgan.evaluation.data import Request, load_evaluation_data
from tests.commands.blobs import discs, rows_of, tree, untrained

ROLE = ("made", "kind", "weight", "stage", "parents")
REAL, MADE = ("0", "real", "1.0", "finish", ""), ("1", "from-noise", "0.3", "pretrain", "")
AGAIN = ("0", "repeated", "1.0", "finish", "")
OPTIONS = BalanceOptions(no_filter=True)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """PNG scans with a test split, a model, and the folders that three commands write of them: only to be
    looked at."""
    place = tmp_path_factory.mktemp("role")
    discs(place / "scans", split="train", full=6, rare=4)
    source = discs(place / "scans", split="test", full=3, rare=3)
    model = untrained(place / "model", source)
    balance(source, place / "balance", options=replace(OPTIONS, model=model))
    sample(model, place / "sample", options=DrawOptions(count=2, no_filter=True))
    prepare(source, place / "prepare", like=model, split="test")
    return place


@pytest.mark.parametrize(
    ("command", "real", "made"), [("balance", 12, 4), ("sample", 0, 4), ("prepare", 6, 0)]
)
def test_every_row_says_what_to_do_with_its_image(world, command, real, made):
    rows = rows_of(world / command)
    origins = [row["origin"] for row in rows]
    assert (origins.count("real"), origins.count("synthetic")) == (real, made)
    for row in rows:
        is_made = row["origin"] == "synthetic"
        role = MADE if is_made else AGAIN if row["repeats"] else REAL
        assert tuple(row[name] for name in ROLE) == role
        assert row["group"] == (row["path"].rpartition("/")[2] if is_made else row["patient"])


@pytest.mark.parametrize("command", ["balance", "sample", "prepare"])
def test_the_three_tables_agree_and_are_all_summed(world, command):
    out = world / command
    rows = rows_of(out)
    with (out / "metadata.csv").open(encoding="utf-8", newline="") as stream:
        metadata = list(csv.DictReader(stream))
    items = json.loads((out / "datalist.json").read_text(encoding="utf-8"))[
        "test" if command == "prepare" else "training"
    ]
    for row, line, item in zip(rows, metadata, items, strict=True):
        assert (out / line["file_name"]).is_file()
        assert line == {"file_name": row["path"]} | {
            name: row[name] for name in ("label", "label_id", *ROLE, "group")
        }
        assert (item["image"], item["label"]) == (row["path"], int(row["label_id"]))
        assert (str(item["made"]), str(item["weight"])) == (row["made"], row["weight"])
        assert all(item[name] == row[name] for name in ("kind", "stage", "group"))
    sums = (out / "SHA256SUMS").read_text(encoding="utf-8").splitlines()
    for name in ("metadata.csv", "manifest.csv", "datalist.json"):
        assert f"{hashlib.sha256((out / name).read_bytes()).hexdigest()}  {name}" in sums


def test_dicom_has_no_metadata_of_hugging_face(world, tmp_path):
    sample(world / "model", tmp_path / "out", options=DrawOptions(count=1, format="dicom", no_filter=True))
    assert rows_of(tmp_path / "out")[0]["made"] == "1"
    assert not (tmp_path / "out" / "metadata.csv").exists()
    assert "metadata.csv" not in (tmp_path / "out" / "SHA256SUMS").read_text(encoding="utf-8")


@pytest.fixture
def older(world, tmp_path):
    """The balanced folder as it was written before a row had a role."""
    out = shutil.copytree(world / "balance", tmp_path / "older")
    table = [line.split(",")[:-6] for line in (out / "manifest.csv").read_text("utf-8").splitlines()]
    assert table[0][-1] == "tool_version"
    (out / "manifest.csv").write_text("".join(",".join(line) + "\n" for line in table), encoding="utf-8")
    data = json.loads((out / "datalist.json").read_text(encoding="utf-8"))
    data["training"] = [{name: item[name] for name in ("image", "label")} for item in data["training"]]
    (out / "datalist.json").write_text(json.dumps(data), encoding="utf-8")
    for name in ("metadata.csv", "report.html"):
        (out / name).unlink()
    return out


def test_a_folder_without_these_columns_is_judged_and_shown_as_ever(world, older):
    by_itself = load_evaluation_data(Request(source=Source(path=older)), ALONE)
    beside_scans = load_evaluation_data(Request(source=Source(path=world / "scans"), synthetic=older), ALONE)
    assert [len(found.synthetic.labels) for found in (by_itself, beside_scans)] == [4, 4]
    assert report(older).report.is_file()


def test_a_folder_without_these_columns_is_complete_and_stays_as_it_is(world, older):
    before = tree(older)
    balance(Source(path=world / "scans"), older, options=replace(OPTIONS, model=world / "model"))
    after = tree(older)
    assert after.pop("report.html")  # which was taken away above, and is written wherever it is absent
    assert after == before
