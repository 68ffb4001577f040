"""Images of a folder or a model for PyTorch and MONAI; those that judge are never handed out by accident."""

import json
import pickle
import shutil
import warnings

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

import medgan
from medgan import DatasetError, Folder, OptionError, Synthetic
from medgan.api.verbs import prepare
from medgan.commands.options import LabelOptions
from tests.commands.blobs import discs, rows_of, untrained


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Scans with splits, a model, a balanced folder, and what `prepare` writes of one split and of all."""
    place = tmp_path_factory.mktemp("data")
    source = discs(place / "scans", split="train", normal=6, covid=3)
    discs(place / "scans", split="test", normal=2, covid=2)
    untrained(place / "run", source)
    medgan.balance(source.path, out=place / "balanced", model=place / "run", any_model=True, no_filter=True)
    for name, split in (("test", "test"), ("everything", None)):
        prepare(
            source.path,
            like=place / "run",
            out=place / name,
            labels=LabelOptions(),
            split=split,
        )
    return place


def test_a_balanced_folder_is_every_image_of_its_manifest(place):
    folder, rows = Folder(place / "balanced"), rows_of(place / "balanced")
    assert folder.classes == ("covid", "normal")
    assert [row["path"] for row in folder.rows] == [row["path"] for row in rows]
    assert folder.labels == tuple(int(row["label_id"]) for row in rows)
    assert folder.weights == tuple(float(row["weight"]) for row in rows)
    counts = [folder.labels.count(number) for number in range(2)]
    assert counts[0] == counts[1], "repeats are there, so classes are equally large"


def test_a_torch_dataset_gives_tensors_in_0_1_and_numbers_of_classes(place):
    folder = Folder(str(place / "balanced"))
    images, labels = next(iter(DataLoader(folder.torch(), batch_size=len(folder))))
    assert images.shape == (len(folder), 1, 16, 24)
    assert images.dtype == torch.float32
    assert 0 <= images.min() < images.max() <= 1
    assert tuple(labels.tolist()) == folder.labels
    halved, label = folder.torch(transform=lambda image: image / 2)[0]
    assert torch.equal(halved, images[0] / 2)
    assert label == folder.labels[0]


def test_workers_of_a_loader_can_be_sent_a_dataset(place):
    dataset = pickle.loads(pickle.dumps(Folder(place / "balanced").torch()))
    assert dataset[0][0].shape == (1, 16, 24)


def test_a_list_for_monai_is_that_of_datalist_json(place):
    items = json.loads((place / "balanced" / "datalist.json").read_text("utf-8"))["training"]
    placed = [item | {"image": str(place / "balanced" / item["image"])} for item in items]
    assert Folder(place / "balanced").monai() == placed


def test_monai_loads_both_lists(place):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MONAI warns of libraries that nobody here uses
        pytest.importorskip("monai")
        from monai.data import Dataset
        from monai.transforms import Compose, EnsureChannelFirstd, EnsureTyped, LoadImaged

        steps = Compose([LoadImaged("image"), EnsureChannelFirstd("image")])
        real = Dataset(Folder(place / "balanced").monai(), steps)[0]
        made = Dataset(Synthetic(place / "run", {"covid": 2}).monai(), EnsureTyped("image"))[1]
    assert real["image"].shape == (1, 24, 16), "MONAI hands over columns before rows"
    assert made["image"].shape == (1, 16, 24)
    assert (real["weight"], made["weight"]) == (1.0, 0.3)


def test_images_that_judge_are_handed_out_by_name_only(place):
    with pytest.raises(DatasetError, match="images of test") as refused:
        Folder(place / "test")
    assert 'split="test"' in refused.value.hint
    assert len(Folder(place / "test", split="test")) == 4
    with pytest.raises(DatasetError, match="none of train"):
        Folder(place / "test", split="train")
    with pytest.raises(DatasetError, match="none of test"):
        Folder(place / "balanced", split="test")
    with pytest.raises(OptionError, match="split cannot be 'tset'"):
        Folder(place / "test", split="tset")


def test_splits_that_lie_together_are_handed_out_by_name_only(place):
    with pytest.raises(DatasetError, match="several splits together") as refused:
        Folder(place / "everything")
    assert 'split="all"' in refused.value.hint
    with pytest.raises(DatasetError, match="none of train"):
        Folder(place / "everything", split="train")
    assert len(Folder(place / "everything", split="all")) == 13


def test_an_older_folder_of_prepare_says_its_split_in_run_json(place, tmp_path):
    shutil.copytree(place / "test", tmp_path / "old")
    table = tmp_path / "old" / "manifest.csv"
    table.write_text(table.read_text("utf-8").replace(",test,", ",train,"), "utf-8")
    with pytest.raises(DatasetError, match="images of test"):
        Folder(tmp_path / "old")
    assert len(Folder(tmp_path / "old", split="test")) == 4


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        (",1.0,", ",much,", "weight 'much'"),
        ("images/covid/", "../test/images/covid/", "not a file of this folder"),
    ],
)
def test_a_damaged_or_foreign_folder_is_refused(place, tmp_path, old, new, told):
    shutil.copytree(place / "balanced", tmp_path / "theirs")
    shutil.copytree(place / "balanced", tmp_path / "test")
    table = tmp_path / "theirs" / "manifest.csv"
    text = table.read_text("utf-8")
    assert old in text
    table.write_text(text.replace(old, new), "utf-8")
    with pytest.raises(DatasetError, match=told):
        Folder(tmp_path / "theirs").monai()


def test_classes_are_numbered_as_those_of_another_folder(place):
    test = Folder(place / "test", split="test", classes=("normal", "other", "covid"))
    assert set(test.labels) == {0, 2}
    with pytest.raises(OptionError, match="no 'normal'"):
        Folder(place / "test", split="test", classes=("covid",))


def test_links_to_originals_are_no_tensors(place, tmp_path):
    out = tmp_path / "linked"
    medgan.balance(place / "scans", out=out, model=place / "run", any_model=True, no_filter=True, real="link")
    folder = Folder(out)
    real = next(number for number, row in enumerate(folder.rows) if row["origin"] == "real")
    with pytest.raises(DatasetError, match="size and form of its own"):
        folder.torch()[real]
    assert folder.monai()[real]["made"] == 0


def test_drawn_images_are_those_of_the_model_whatever_is_drawn_beside_them(place):
    model = medgan.Model.load(place / "run")
    drawn = Synthetic(model, {"normal": 3, "covid": 20}, seed=7)
    assert len(drawn) == 23
    assert drawn.labels == (1,) * 3 + (0,) * 20
    assert drawn.seeds == (7, 8, 9, *range(7, 27))
    alone = model.sample("covid", 1, seed=26).pixels[0]
    image, label = drawn.torch()[22]
    assert np.array_equal(image.numpy(), alone)
    assert label == 0
    assert np.array_equal(Synthetic(place / "run", {"covid": 20}, seed=7).pixels(19), alone)


def test_drawn_images_say_that_they_are_made(place):
    item = Synthetic(place / "run", {"covid": 2}, classes=("normal", "covid")).monai()[1]
    told = {name: item[name] for name in ("label", "seed", "made", "kind", "weight", "stage")}
    assert told == {
        "label": 1,
        "seed": 1,
        "made": 1,
        "kind": "from-noise",
        "weight": 0.3,
        "stage": "pretrain",
    }
    assert item["image"].shape == (1, 16, 24)
    with pytest.raises(OptionError, match="no 'covid'"):
        Synthetic(place / "run", {"covid": 2}, classes=("normal",))
