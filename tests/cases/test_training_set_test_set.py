"""Split folders by other names, below classes, folds, patients above classes: split, or warned about."""

import pytest

from medgan.dataset.file_list import list_files
from medgan.dataset.layout import split_of_name
from medgan.dataset.source import Source


def data_set(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return list_files(Source(path=root))


def told(listing):
    return {
        file.path.relative_to(listing.root).as_posix(): (file.label, file.split) for file in listing.entries
    }


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("training_set", "train"),
        ("Train", "train"),
        ("TrainImages", "train"),
        ("trainset", "train"),
        ("Training Set", "train"),
        ("stage_2_train_images", "train"),
        ("train2017", "train"),
        ("validation_set", "val"),
        ("val_data", "val"),
        ("ValSet", "val"),
        ("dev", "val"),
        ("test_set", "test"),
        ("Test-Images", "test"),
        ("testdata", "test"),
        ("external test", "test"),
        ("test1", "test"),
        ("holdout", "test"),
        ("", ""),
        ("fold1", ""),
        ("normal", ""),
        ("test_positive", ""),
        ("train_test", ""),
        ("attestation", ""),
        ("data", ""),
        ("image_set_2", ""),
        ("contest", ""),
        ("invalid", ""),
        ("evaluated", ""),
    ],
)
def test_a_name_means_a_split_where_that_is_sure(name, split):
    assert split_of_name(name) == split


@pytest.mark.parametrize(
    ("train", "test"), [("training_set", "test_set"), ("TRAIN_DATA", "TEST_DATA"), ("training", "val_data")]
)
def test_splits_are_known_by_their_usual_names(tmp_path, train, test):
    listing = data_set(
        tmp_path, f"{train}/benign/a", f"{train}/malignant/b", f"{test}/benign/c", f"{test}/malignant/d"
    )
    held = "val" if test == "val_data" else "test"
    assert told(listing) == {
        f"{train}/benign/a": ("benign", "train"),
        f"{train}/malignant/b": ("malignant", "train"),
        f"{test}/benign/c": ("benign", held),
        f"{test}/malignant/d": ("malignant", held),
    }
    assert not listing.warnings


def test_one_name_for_all_and_a_word_for_the_split(tmp_path):
    listing = data_set(tmp_path, "chest_xray_train/a/1", "chest_xray_train/b/2", "chest_xray_test/a/3")
    assert {split for _, split in told(listing).values()} == {"train", "test"}
    assert {label for label, _ in told(listing).values()} == {"a", "b"}


def test_splits_may_lie_in_the_classes(tmp_path):
    listing = data_set(
        tmp_path, "benign/train/a", "benign/test/s/b", "malignant/train/c", "malignant/val/d", "malignant/e"
    )
    assert told(listing) == {
        "benign/train/a": ("benign", "train"),
        "benign/test/s/b": ("benign", "test"),
        "malignant/train/c": ("malignant", "train"),
        "malignant/val/d": ("malignant", "val"),
        "malignant/e": ("malignant", "train"),
    }
    assert not listing.warnings


@pytest.mark.parametrize(
    "names",
    [
        ("fold1/benign/a", "fold1/malignant/b", "fold2/benign/c", "fold2/malignant/d"),
        ("p1/0/a", "p1/1/b", "p2/0/c", "p3/1/d"),
        ("covid/images/1", "covid/masks/1", "normal/images/2", "normal/masks/2"),
    ],
)
def test_classes_that_hold_the_same_folders_are_told(tmp_path, names):
    (warning,) = data_set(tmp_path, *names).warnings
    assert "hold the same folders" in warning
    assert "--labels" in warning


@pytest.mark.parametrize(
    "names",
    [
        ("covid/a", "normal/b"),
        ("covid/patient1/a", "covid/patient2/b", "normal/patient1/c", "normal/patient2/d"),  # counted anew
        ("covid/1/a", "covid/2/b", "normal/1/c", "normal/2/d"),
        ("covid/x/a", "covid/y/b", "normal/x/c"),  # y lies in one class only
        ("covid/dicom/a", "normal/dicom/b"),
    ],
)
def test_an_ordinary_data_set_raises_no_alarm(tmp_path, names):
    assert not data_set(tmp_path, *names).warnings


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (("covid/test/a", "normal/b"), "covid/test"),  # no train beside it, so it is not sure
        (("train/covid/a", "train/normal/testing/b"), "normal/testing"),
        (("xray_train/a", "xray_test/b"), "xray_test, xray_train"),  # no classes in them
    ],
)
def test_what_may_be_test_images_is_never_learned_from_in_silence(tmp_path, names, words):
    assert any(
        words in warning and "called like splits" in warning
        for warning in data_set(tmp_path, *names).warnings
    )


def test_a_folder_to_work_in_is_no_split_of_a_list(tmp_path, monkeypatch):
    data_set(tmp_path / "dev", "a/1", "b/2")
    monkeypatch.chdir(tmp_path / "dev")
    listing = list_files(Source(lines=("a/1", "b/2")))
    assert [(file.label, file.split) for file in listing.entries] == [("a", "train"), ("b", "train")]


def test_a_table_and_a_list_know_the_same_names(tmp_path, monkeypatch):
    data_set(tmp_path, "training_set/a/1", "test_set/a/2")
    (tmp_path / "labels.csv").write_text(
        "path,label,split\ntraining_set/a/1,a,Validation Set\ntest_set/a/2,a,\n"
    )
    by_table = told(list_files(Source(path=tmp_path, labels=tmp_path / "labels.csv")))
    assert by_table["training_set/a/1"] == ("a", "val")
    assert by_table["test_set/a/2"] == ("a", "test")
    monkeypatch.chdir(tmp_path)
    by_list = list_files(Source(lines=("training_set/a/1", "test_set/a/2")))
    assert [file.split for file in by_list.entries] == ["train", "test"]
