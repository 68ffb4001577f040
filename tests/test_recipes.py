"""The code of docs/how-to/train-a-classifier.md runs as it stands, in fewer steps, on the sample data."""

import importlib.util
import os
import re
import sys
import types
import warnings
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from medgan.commands.balance import balance
from medgan.commands.options import BalanceOptions
from medgan.commands.prepare import prepare
from medgan.dataset.source import Source
from tests.commands.blobs import rows_of, untrained

PAGE = Path(__file__).parents[1] / "docs" / "how-to" / "train-a-classifier.md"


def blocks():
    """The code on the page, with fewer steps."""
    text = PAGE.read_text(encoding="utf-8")
    assert text.count("STEPS, BATCH = 1000, 32") == 1
    return re.findall(
        r"^```python\n(.*?)^```$",
        text.replace("STEPS, BATCH = 1000, 32", "STEPS, BATCH = 5, 4"),
        re.MULTILINE | re.DOTALL,
    )


def run(code, names):
    exec(compile("\n".join(code), PAGE.name, "exec"), names)


@pytest.fixture(scope="module")
def folders(cut_scans, tmp_path_factory):
    """`balanced/` and `test/`, as the page has them written."""
    place = tmp_path_factory.mktemp("recipes")
    source = Source(path=cut_scans)
    model = untrained(place / "run", source)
    options = BalanceOptions(format="png", no_filter=True)
    balance(source, place / "balanced", options=replace(options, model=model))
    prepare(source, place / "test", like=model, format="png")
    return place


def drawn(names, weights):
    """The rows that the page's sampler draws with these weights."""
    rows = names["Folder"]("balanced").rows
    return [rows[number] for number in names["sampler"](names["labels"], weights, 400)]


def test_the_recipes_run_and_draw_what_they_say(folders, monkeypatch, capsys):
    monkeypatch.chdir(folders)
    names = {}
    run([block for block in blocks() if "monai" not in block and "torchvision" not in block], names)

    judged = [line.rsplit(" ", 1) for line in capsys.readouterr().out.splitlines()]
    assert [words for words, _ in judged] == [
        f"{name} {label}" for name in ("real", "mix", "finish") for label in ("mass", "normal")
    ]
    assert all(0 <= float(score) <= 1 for _, score in judged)

    torch.manual_seed(0)
    mixed = drawn(names, names["weights"])
    masses = [row for row in mixed if row["label"] == "mass"]
    assert len(masses) / len(mixed) == pytest.approx(0.5, abs=0.05)
    there = [row for row in rows_of(folders / "balanced") if row["label"] == "mass"]
    made = sum(int(row["made"]) for row in there)
    share = 0.3 * made / (0.3 * made + len(there) - made)
    assert sum(int(row["made"]) for row in masses) / len(masses) == pytest.approx(share, abs=0.07)
    others = [row for row in mixed if row["label"] == "normal"]
    assert sum(int(row["made"]) for row in others) / len(others) == pytest.approx(share, abs=0.07)
    assert sum(row["kind"] == "repeated" for row in masses) / len(masses) == pytest.approx(
        (1 - share) / 2, abs=0.07
    )
    assert {row["made"] for row in drawn(names, names["real"])} == {"0"}
    assert {row["made"] for row in drawn(names, names["everything"])} == {"0", "1"}


class ImageFolder:
    """What torchvision documents: sorted sub-folders are classes, their sorted files the images."""

    def __init__(self, root, transform, loader):
        classes = sorted(entry.name for entry in os.scandir(root) if entry.is_dir())
        files = [
            (path, number)
            for number, name in enumerate(classes)
            for path in sorted(Path(root, name).iterdir())
        ]
        self.samples = [(str(path), number) for path, number in files]
        self.targets = [number for _, number in files]
        self.transform, self.loader = transform, loader

    def __len__(self):
        return len(self.samples)

    def __getitem__(self, index):
        path, target = self.samples[index]
        return self.transform(self.loader(path)), target


def test_the_recipes_run_with_the_image_folder_of_torchvision(folders, monkeypatch):
    monkeypatch.chdir(folders)
    if importlib.util.find_spec("torchvision") is None:
        stand_in = types.ModuleType("torchvision.datasets")
        stand_in.ImageFolder = ImageFolder
        monkeypatch.setitem(sys.modules, "torchvision", types.ModuleType("torchvision"))
        monkeypatch.setitem(sys.modules, "torchvision.datasets", stand_in)
    (definitions, *_), (block,) = blocks(), [block for block in blocks() if "torchvision" in block]
    names = {"first": 3}
    run([definitions, block], names)
    rows = rows_of(folders / "balanced")
    assert [row["path"] for row in names["rows"]] == [row["path"] for row in rows]
    assert names["data"].targets == [int(row["label_id"]) for row in rows]
    assert names["weights"] == [0.3 if row["kind"] == "from-noise" else 1.0 for row in rows]
    assert names["real"] == [float(row["kind"] in {"real", "repeated"}) for row in rows]
    pixels, _ = names["data"][0]
    assert pixels.shape == (1, 16, 24)
    assert not names["finished"].training


def test_the_recipes_run_with_the_data_list_of_monai(folders, monkeypatch):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MONAI warns of libraries that nobody here uses
        pytest.importorskip("monai")
        monkeypatch.chdir(folders)
        (definitions, *_), (monai,) = blocks(), [block for block in blocks() if "monai" in block]
        names = {"first": 3}
        run([definitions, monai], names)
    rows = rows_of(folders / "balanced")
    assert names["weights"] == [float(row["weight"]) for row in rows]
    assert names["real"] == [float(row["stage"] == "finish") for row in rows]
    pixels, label = names["data"][0]
    assert (pixels.shape, label) == ((1, 24, 16), 0)  # columns before rows
    assert 0 <= pixels.min() < pixels.max() <= 1
    assert not names["finished"].training
