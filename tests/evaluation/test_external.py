"""A second test on another hospital's scans: which of them are taken, and what is refused."""

import shutil

import numpy as np
import pytest
from PIL import Image

from medgan.base.errors import DatasetError
from medgan.base.job import ALONE
from medgan.commands.evaluate import _repeat_command, _settings_of
from medgan.commands.options import DrawOptions
from medgan.commands.sample import sample
from medgan.dataset.source import Source
from medgan.evaluation.data import Request, load_evaluation_data
from medgan.evaluation.options import EvidenceOptions
from tests.commands.blobs import discs, untrained


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A data set with a test split, a model of it, and scans of another hospital: brighter, larger, in its
    own splits."""
    place = tmp_path_factory.mktemp("external")
    discs(place / "scans", split="train", full=12, rare=8)
    source = discs(place / "scans", split="test", full=9, rare=8)
    discs(place / "theirs", split="train", shape=(20, 30), full=5, rare=4)
    discs(place / "theirs", split="val", shape=(24, 36), full=2, rare=1)
    untrained(place / "model", source)
    return {"source": source, "model": place / "model", "theirs": place / "theirs"}


@pytest.fixture
def theirs(world, tmp_path):
    """A copy of the other hospital's scans, to be changed."""
    return shutil.copytree(world["theirs"], tmp_path / "theirs")


def request(world, theirs, **how):
    how = how or {"model": world["model"]}
    return Request(
        source=world["source"], external=theirs, per_class=4, evidence=EvidenceOptions(no_filter=True), **how
    )


def copied(path, folder, name):
    folder.mkdir(parents=True, exist_ok=True)
    return shutil.copy(path, folder / name)


def test_all_splits_of_the_other_hospital_come_in_the_frame_of_the_models_images(world):
    found = load_evaluation_data(request(world, world["theirs"]), ALONE)
    assert found.external.counts == found.counts["external"] == {"full": 7, "rare": 5}
    assert found.patients["external"] == 12
    assert found.external.pixels.shape[1:] == found.test.pixels.shape[1:]
    assert found.external.names == found.test.names
    assert not {*found.external.patients} & {*found.train.patients, *found.test.patients}
    assert "external scans that name no patient count as a patient each" in found.notes


def test_an_evaluation_with_a_second_test_is_another_and_one_without_is_as_it_was(world, theirs):
    first, without = (load_evaluation_data(request(world, one), ALONE) for one in (world["theirs"], None))
    assert without.external is None
    assert "external" not in {**without.counts, **without.sources, **without.patients}
    assert {**without.sources, "external": first.sources["external"]} == first.sources
    copied(theirs / "train" / "full" / "scan0.png", theirs / "train" / "rare", "new.png")
    Image.fromarray(np.arange(600, dtype=np.uint8).reshape(20, 30)).save(
        theirs / "train" / "rare" / "new.png"
    )
    assert load_evaluation_data(request(world, theirs), ALONE).digest not in {first.digest, without.digest}
    assert _settings_of(request(world, theirs))["external"] is True
    assert "external" not in _settings_of(request(world, None))


@pytest.mark.parametrize("tool", ["sample", "another"])
def test_images_of_a_folder_and_of_another_tool_have_a_second_test_too(world, tmp_path, tool):
    made = tmp_path / "made"
    if tool == "sample":
        sample(world["model"], made, options=DrawOptions(count=4, no_filter=True))
    else:
        discs(made, full=4, rare=4)
    found = load_evaluation_data(request(world, world["theirs"], synthetic=made), ALONE)
    assert found.external.counts == {"full": 7, "rare": 5}
    assert found.external.pixels.shape[1:] == found.synthetic.pixels.shape[1:]
    assert "external" in found.sources


def test_an_unknown_class_is_refused_by_name(world, theirs):
    (theirs / "train" / "rare").rename(theirs / "train" / "strange")
    with pytest.raises(DatasetError, match="theirs holds classes that the data set lacks: strange") as error:
        load_evaluation_data(request(world, theirs), ALONE)
    assert "full, rare" in error.value.hint


@pytest.mark.parametrize("split", ["train", "test"])
def test_patients_whose_image_the_data_set_holds_are_left_out_with_all_their_images_and_that_is_told(
    world, theirs, split
):
    ours = world["source"].path / split / "rare" / "scan0.png"
    copied(ours, theirs / "train" / "rare", "sub-7_a.png")
    copied(theirs / "train" / "rare" / "scan1.png", theirs / "train" / "rare", "sub-7_b.png")
    (theirs / "train" / "rare" / "scan1.png").unlink()
    found = load_evaluation_data(request(world, theirs), ALONE)
    assert found.external.counts == {"full": 7, "rare": 4}
    assert any(note.startswith("1 of 12 external patients were left out") for note in found.notes)


def test_a_folder_of_known_patients_alone_is_refused(world):
    with pytest.raises(DatasetError, match=r"every patient of .* is in the data set"):
        load_evaluation_data(request(world, world["source"].path), ALONE)


def test_one_class_alone_is_refused(world, theirs):
    for split in ("train", "val"):
        shutil.rmtree(theirs / split / "rare")
    with pytest.raises(DatasetError, match="holds only images of class full"):
        load_evaluation_data(request(world, theirs), ALONE)


def test_a_rare_class_that_is_missing_is_refused_before_anything_is_drawn(tmp_path):
    source = discs(tmp_path / "scans", split="train", full=9, half=8, rare=4)
    theirs = discs(tmp_path / "theirs", shape=(20, 30), full=5, half=4).path
    model = untrained(tmp_path / "model", source)
    with pytest.raises(DatasetError, match="holds no image of rare, a rare class of the data set"):
        load_evaluation_data(Request(source=source, model=model, external=theirs), ALONE)


def test_scans_of_other_values_are_refused_with_the_name_of_the_folder(world, theirs):
    for number in range(3):
        values = np.random.default_rng(number).normal(size=(20, 30)).astype(np.float32)
        Image.fromarray(values).save(theirs / "train" / "full" / f"float{number}.tiff")
    with pytest.raises(DatasetError, match="cannot be prepared like the data set"):
        load_evaluation_data(request(world, theirs), ALONE)


def test_a_balanced_folder_alone_has_no_classifiers_to_ask(world, tmp_path):
    from medgan.commands.balance import balance
    from medgan.commands.options import BalanceOptions

    balance(
        world["source"],
        tmp_path / "out",
        options=BalanceOptions(model=world["model"], target=14, no_filter=True),
    )
    with pytest.raises(DatasetError, match="--external does not apply"):
        load_evaluation_data(Request(source=Source(path=tmp_path / "out"), external=world["theirs"]), ALONE)


def test_the_command_names_a_second_test_without_its_place(world):
    told = _repeat_command(request(world, world["theirs"]))
    assert "--model RUN --no-filter --external EXTERNAL --effort" in told
    assert "theirs" not in told
